package edge

import "errors"

// Frame feeds pieces to a new framer until a request ends, and returns how
// many bytes it took.
func Frame(limit int, pieces ...[]byte) (used int, end bool, err error) {
	f := framer{limit: limit}
	for _, p := range pieces {
		n, done, violation := f.feed(p)
		used += n
		if violation != nil {
			return used, false, errors.New(violation.Error())
		}
		if done {
			return used, true, nil
		}
	}
	return used, false, nil
}
