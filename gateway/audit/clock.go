package audit

import (
	"encoding/json"
	"strconv"
	"time"
)

// appendClock adds the fields that tell of the clock.
func appendClock(dst []byte, clock func() (string, time.Duration)) []byte {
	source, offset := "unknown", time.Duration(0)
	if clock != nil {
		source, offset = clock()
	}
	text, _ := json.Marshal(clean(source)) // a text is always encoded
	dst = append(append(dst, `,"labels.clock":`...), text...)
	return strconv.AppendInt(append(dst, `,"labels.clock_offset_ms":`...), offset.Milliseconds(), 10)
}
