package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // zones are the same on a host that has no files of them

	"go.yaml.in/yaml/v4"
)

// A span is a part of some days of the week, by the clocks of a zone.
type span struct {
	days     uint8 // a bit for each time.Weekday on which it begins
	from, to int   // minutes since midnight; to is on the next day if it is less
	zone     *time.Location
}

const minutesOfDay = 24 * 60

// holds tells whether a time is in the span.
func (s *span) holds(t time.Time) bool {
	t = t.In(s.zone)
	day, minute := t.Weekday(), 60*t.Hour()+t.Minute()
	if s.from < s.to {
		return s.on(day) && s.from <= minute && minute < s.to
	}
	return s.on(day) && s.from <= minute || s.on((day+6)%7) && minute < s.to
}

func (s *span) on(day time.Weekday) bool { return s.days>>day&1 == 1 }

// String returns the span in one form for all ways to write it.
func (s *span) String() string {
	var days []string
	for i, name := range dayNames {
		if s.on(time.Weekday(i)) {
			days = append(days, name)
		}
	}
	list := strings.Join(days, ",")
	if len(days) == len(dayNames) {
		list = "daily"
	}
	return fmt.Sprintf("%s %02d:%02d-%02d:%02d %s", list, s.from/60, s.from%60, s.to/60, s.to%60, s.zone)
}

// dayNames are the days by time.Weekday.
var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// hours reads the spans of a condition.
func (r *reader) hours(n *yaml.Node) (all []span, texts []named) {
	first := make(map[string]int)
	for _, c := range r.list(n, "a list of hours") {
		s, ok := r.span(c)
		if !ok {
			continue
		}
		text := s.String()
		if line, twice := first[text]; twice {
			r.fail(c, "the span stands already on line %d", line)
			continue
		}
		first[text] = c.Line
		all, texts = append(all, s), append(texts, named{text, r.at(c)})
	}
	return all, texts
}

// span reads one span, and whether nothing is wrong with it.
func (r *reader) span(n *yaml.Node) (span, bool) {
	before := len(*r.errs)
	s := span{days: 1<<len(dayNames) - 1}
	fields := r.fields(n, inHours, "a span: {days: [mon-fri], from: 08:00, to: 18:00, zone: Europe/Berlin}")
	if fields == nil {
		return s, false
	}
	for _, name := range []string{"from", "to", "zone"} {
		if _, ok := fields[name]; !ok {
			r.fail(n, "a span of hours needs %s", name)
		}
	}
	if f, ok := fields["days"]; ok {
		s.days = r.days(f.value)
	}
	if f, ok := fields["from"]; ok {
		s.from = r.minute(f.value, minutesOfDay-1)
	}
	if f, ok := fields["to"]; ok {
		s.to = r.minute(f.value, minutesOfDay)
	}
	if f, ok := fields["zone"]; ok {
		s.zone = r.zone(f.value)
	}
	if len(*r.errs) == before && s.from == s.to {
		r.fail(fields["to"].value, "the span ends when it begins: for a whole day say from: 00:00, to: 24:00")
	}
	return s, len(*r.errs) == before
}

// days reads days of the week and ranges of them.
func (r *reader) days(n *yaml.Node) uint8 {
	var all uint8
	for _, c := range r.list(n, "a list of days") {
		s, ok := r.text(c, "a day such as mon, or mon-fri")
		if !ok {
			continue
		}
		first, last, isRange := strings.Cut(s, "-")
		from := slices.Index(dayNames[:], first)
		to := slices.Index(dayNames[:], last)
		if !isRange {
			to = from
		}
		if from < 0 || to < 0 || isRange && from == to {
			r.fail(c, "%q is not a day such as mon, or a range such as mon-fri", s)
			continue
		}
		for day := from; ; day = (day + 1) % len(dayNames) {
			if all>>day&1 == 1 {
				r.fail(c, "%s is listed already", dayNames[day])
			}
			all |= 1 << day
			if day == to {
				break
			}
		}
	}
	return all
}

// minute reads a time of day.
func (r *reader) minute(n *yaml.Node, last int) int {
	s, ok := r.text(n, `a time of day such as "08:00"`)
	if !ok {
		return 0
	}
	var hour, minute int
	if t, err := time.Parse("15:04", s); err == nil && len(s) == len("15:04") {
		hour, minute = t.Hour(), t.Minute()
	} else if s == "24:00" {
		hour = 24
	} else {
		r.fail(n, "%q is not a time of day such as 08:00", s)
	}
	if 60*hour+minute > last {
		r.fail(n, "nothing begins at 24:00: say 00:00 of the next day")
	}
	return 60*hour + minute
}

// zone reads a time zone. Local is none: it differs from host to host.
func (r *reader) zone(n *yaml.Node) *time.Location {
	s, ok := r.text(n, "a time zone such as Europe/Berlin")
	if !ok {
		return nil
	}
	zone, err := time.LoadLocation(s)
	if err != nil || s == "Local" {
		r.fail(n, "time zone %q is not known: use a name such as Europe/Berlin, or UTC", s)
	}
	return cmp.Or(zone, time.UTC)
}
