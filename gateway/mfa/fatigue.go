package mfa

import (
	"context"
	"errors"
	"slices"
	"time"

	"stsgate/gateway/mfa/knock"
	"stsgate/gateway/refusal"
	"stsgate/gateway/state"
)

// fatigue counts what a user was asked (MFA-07), so that nobody who has the
// password wears its owner out. Its methods are pure.
type fatigue struct {
	// Asked are the prompts of the last 10 minutes, the oldest first.
	Asked []time.Time `json:"asked,omitempty"`
	// Unanswered are the prompts since the last that was approved, the one that
	// waits included.
	Unanswered int `json:"unanswered,omitzero"`
	// Live is the path of the approval that was asked for last, empty once it is
	// answered.
	Live string `json:"live,omitzero"`
	// Stopped is until when nobody is asked.
	Stopped time.Time `json:"stopped,omitzero"`
}

// forgetFatigue is for how long unanswered prompts count.
const forgetFatigue = 7 * 24 * time.Hour

var (
	errSoon    = errors.New("the same is being asked right now")
	errLive    = errors.New("another request waits for the user's answer")
	errMany    = errors.New("three requests were asked for in 10 minutes")
	errStopped = errors.New("five requests in a row were not approved, and none is asked for now")
)

// ask counts a prompt for the approval at path, or says why there is none.
// waits tells whether the approval at another path still waits for its answer.
// With stops the user is asked no more for an hour, from now on.
func (f *fatigue) ask(path string, now time.Time, waits func(path string) (bool, error)) (stops bool, err error) {
	if now.Before(f.Stopped) {
		return false, errStopped
	}
	f.Asked = slices.DeleteFunc(f.Asked, func(t time.Time) bool { return now.Sub(t) >= promptsWithin })
	if n := len(f.Asked); n > 0 && f.Live != "" {
		last := f.Asked[n-1]
		if now.Sub(last) < skew { // whoever counted it may not have written it yet
			if f.Live == path {
				return false, errSoon
			}
			return false, errLive
		}
		if now.Sub(last) < promptFor+skew && f.Live != path {
			if live, err := waits(f.Live); err != nil || live {
				return false, errors.Join(err, errLive)
			}
		}
	}
	switch {
	case f.Unanswered >= mostUnanswered:
		f.Stopped, f.Unanswered = now.Add(stopFor), mostUnanswered-1
		return true, nil
	case len(f.Asked) >= mostPrompts:
		return false, errMany
	}
	f.Asked = append(f.Asked, now)
	f.Unanswered++
	f.Live = path
	return false, nil
}

// count counts a prompt before it is shown. It tells whether it did: not when
// another request is about to show the same one.
func (c *claim) count(ctx context.Context) (bool, error) {
	s := c.s
	stops := false
	err := update(ctx, s.c.Store, fatigueKey(c.r.User.ID), func(f *fatigue, _ bool) (time.Duration, error) {
		var err error
		stops, err = f.ask(c.key.Path(), time.Now(), func(path string) (bool, error) { return s.waits(ctx, path) })
		return forgetFatigue, err
	})
	switch {
	case errors.Is(err, errSoon):
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return false, down(err)
		}
		return false, nil
	case errors.Is(err, errLive), errors.Is(err, errMany), errors.Is(err, errStopped):
		return false, c.refusal(refusal.SecondFactorStopped, err)
	case err != nil:
		return false, down(err)
	case stops:
		s.tired(ctx, c.to(), c.r.Application.Name, c.r.Place)
		return false, c.refusal(refusal.SecondFactorStopped, errStopped)
	}
	return true, nil
}

// tired says once that a user is asked no more for now.
func (s *Service) tired(ctx context.Context, to knock.Recipient, application, place string) {
	s.metrics.stops.Inc()
	s.c.Log.Error("a user is not asked any more for an hour, since five requests with the right password were not approved", "user", to.ID, "application", application)
	s.notify(ctx, knock.Notice{What: knock.PromptsStopped, To: to, Application: application, Place: place, At: time.Now()})
}

// waits tells whether an approval waits for its answer.
func (s *Service) waits(ctx context.Context, path string) (bool, error) {
	key, err := state.Approvals.ParseKey(path)
	if err != nil {
		return false, err
	}
	a, _, err := read[approval](ctx, s.c.Store, key)
	return err == nil && a.live(time.Now()), err
}

// rested forgets unanswered prompts, after the user has proven a factor for a
// request, and answered that the user is no longer asked. Where it cannot be
// written they still count.
func (s *Service) rested(ctx context.Context, user string) {
	s.relieve(ctx, user, func(f *fatigue) { f.Unanswered, f.Live = 0, "" })
}

func (s *Service) answered(ctx context.Context, user string) {
	s.relieve(ctx, user, func(f *fatigue) { f.Live = "" })
}

func (s *Service) relieve(ctx context.Context, user string, change func(*fatigue)) {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), state.Deadline)
	defer done()
	key := fatigueKey(user)
	f, _, err := read[fatigue](ctx, s.c.Store, key)
	if err == nil && f.Unanswered > 0 {
		err = update(ctx, s.c.Store, key, func(f *fatigue, _ bool) (time.Duration, error) {
			change(f)
			return forgetFatigue, nil
		})
	}
	if err != nil {
		s.c.Log.Warn("prompts that were answered still count", "user", user, "err", err)
	}
}

func (s *Service) notify(ctx context.Context, n knock.Notice) {
	if s.c.Notify == nil {
		return
	}
	if err := s.c.Notify(context.WithoutCancel(ctx), n); err != nil {
		s.c.Log.Error("a user is not told what happened", "user", n.To.ID, "what", string(n.What), "err", err)
	}
}
