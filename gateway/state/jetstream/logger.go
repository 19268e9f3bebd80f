package jetstream

import (
	"context"
	"fmt"
	"log/slog"
)

// logger passes on what the server has to complain about.
type logger struct{ log *slog.Logger }

func (l logger) tell(level slog.Level, format string, v []any) {
	if l.log != nil {
		l.log.Log(context.Background(), level, "state server", "text", fmt.Sprintf(format, v...))
	}
}

func (l logger) Warnf(format string, v ...any)  { l.tell(slog.LevelWarn, format, v) }
func (l logger) Errorf(format string, v ...any) { l.tell(slog.LevelError, format, v) }
func (l logger) Fatalf(format string, v ...any) { l.tell(slog.LevelError, format, v) }
func (l logger) Noticef(string, ...any)         {}
func (l logger) Debugf(string, ...any)          {}
func (l logger) Tracef(string, ...any)          {}
