package guard

import "container/list"

// An lru is a map that forgets what was used least recently when it is full.
type lru[K comparable, V any] struct {
	most  int
	byKey map[K]*list.Element
	order list.List // of entry[K, V], the last used first
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

func newLRU[K comparable, V any](most int) *lru[K, V] {
	return &lru[K, V]{most: most, byKey: map[K]*list.Element{}}
}

// get returns the value at key, nil if there is none, and marks it as used.
func (l *lru[K, V]) get(key K) *V {
	e, ok := l.byKey[key]
	if !ok {
		return nil
	}
	l.order.MoveToFront(e)
	return &e.Value.(*entry[K, V]).value
}

// make returns the value at key, the zero value if there was none.
func (l *lru[K, V]) make(key K) *V {
	if v := l.get(key); v != nil {
		return v
	}
	if len(l.byKey) >= l.most {
		l.drop()
	}
	e := &entry[K, V]{key: key}
	l.byKey[key] = l.order.PushFront(e)
	return &e.value
}

// drop forgets what was used least recently, and returns it; nil when there is nothing.
func (l *lru[K, V]) drop() *V {
	last := l.order.Back()
	if last == nil {
		return nil
	}
	e := l.order.Remove(last).(*entry[K, V])
	delete(l.byKey, e.key)
	return &e.value
}

func (l *lru[K, V]) len() int { return len(l.byKey) }
