package policy

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	celtypes "cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// Bounds of expressions. Cost is in CEL's unit, about one simple operation.
const (
	maxExpression = 4096 // characters
	maxDepthCEL   = 32
	maxRegexp     = 1000 // instructions
	maxCost       = 100_000
)

// The sizes of facts that the cost of an expression is estimated for.
const (
	usualText   = 1024 // bytes
	usualName   = 64   // bytes, of a group or a user
	usualGroups = 1000
)

// language is CEL as policies use it: the standard definitions, addresses and
// networks, lowerAscii, and the facts.
var language = sync.OnceValues(func() (*cel.Env, error) {
	options := []cel.EnvOption{
		ext.Network(),
		cel.Function("lowerAscii", cel.MemberOverload("string_lower_ascii", []*cel.Type{cel.StringType}, cel.StringType,
			cel.UnaryBinding(lowerASCII))),
		cel.ExtendedValidations(),
		cel.ASTValidators(cel.ValidateComprehensionNestingLimit(3)),
		cel.StrictTimestampParsing(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepthCEL),
		cel.ParserErrorRecoveryLimit(4),
		cel.RegexProgramSizeLimit(maxRegexp),
	}
	for _, f := range factInfos {
		options = append(options, cel.Variable(f.Name, celTypes()[f.Type]))
	}
	return cel.NewEnv(options...)
})

func celTypes() map[string]*cel.Type {
	return map[string]*cel.Type{
		"text":      cel.StringType,
		"texts":     cel.ListType(cel.StringType),
		"number":    cel.IntType,
		"truth":     cel.BoolType,
		"address":   ext.IPType,
		"addresses": cel.ListType(ext.IPType),
		"time":      cel.TimestampType,
	}
}

func lowerASCII(v ref.Val) ref.Val {
	lower := func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	return celtypes.String(strings.Map(lower, string(v.(celtypes.String))))
}

// An estimator tells how large the facts are.
type estimator struct{}

// EstimateSize returns the size of a fact or of an element of one.
func (estimator) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	path := n.Path()
	if len(path) == 0 {
		return nil
	}
	i := slices.IndexFunc(factInfos[:], func(f FactInfo) bool { return f.Name == path[0] })
	if i < 0 {
		return nil
	}
	size := cost.RangedSizeEstimate(0, usualText)
	switch {
	case len(path) > 1 || Fact(i) <= UserDomain:
		size = cost.RangedSizeEstimate(0, usualName)
	case factInfos[i].Type == "texts" || factInfos[i].Type == "addresses":
		size = cost.ListSizeEstimate(cost.RangedSizeEstimate(0, usualGroups), cost.RangedSizeEstimate(0, usualName))
	}
	return &size
}

// EstimateCallCost returns the cost of the function that is not CEL's own.
func (estimator) EstimateCallCost(_, overload string, target *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	if overload != "string_lower_ascii" || target == nil {
		return nil
	}
	size := cost.EstimateSize(estimator{}, *target)
	return cost.NewCallEstimate(size.MultiplyByCostFactor(0.1), &size)
}

// usual reports that the facts are within the sizes that the cost is
// estimated for.
func usual(f *Facts, mentioned FactSet) bool {
	for fact := range NumFacts {
		if !mentioned.Has(fact) {
			continue
		}
		limit := usualText
		if fact <= UserDomain {
			limit = usualName
		}
		if s := f.text(fact); s != nil && len(*s) > limit {
			return false
		}
	}
	long := func(s string) bool { return len(s) > usualName }
	return len(f.Client.Forwarded) <= usualGroups &&
		(!mentioned.Has(UserGroups) || len(f.User.Groups) <= usualGroups && !slices.ContainsFunc(f.User.Groups, long))
}

// loadZone returns the time zone of a name such as Europe/Berlin or +02:00.
func loadZone(name string) (*time.Location, error) {
	if strings.Contains(name, ":") {
		t, err := time.Parse("-07:00", name)
		_, offset := t.Zone()
		return time.FixedZone(name, offset), err
	}
	if name == "Local" {
		return nil, errors.New("no time zone of its own")
	}
	return time.LoadLocation(name)
}

// A zonedCall is a call such as time.getHours("Europe/Berlin"), with the time
// zone loaded: CEL's own reads it from disk each time.
type zonedCall struct {
	interpreter.InterpretableV2
	function string
	time     interpreter.InterpretableV2
	zone     *time.Location
}

// Exec computes the call.
func (c zonedCall) Exec(frame *interpreter.ExecutionFrame) ref.Val {
	v := c.time.Exec(frame)
	t, ok := v.(celtypes.Timestamp)
	if !ok {
		return v // unknown, or an error
	}
	return celtypes.Timestamp{Time: t.In(c.zone)}.Receive(c.function, "", nil)
}

// withZone loads the time zone of a call that has one.
func withZone(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || !slices.Contains(zonedFunctions(), call.Function()) || len(call.Args()) != 2 {
		return i, nil
	}
	name, ok := call.Args()[1].(interpreter.InterpretableConst)
	if !ok {
		return i, nil
	}
	zone, err := loadZone(string(name.Value().(celtypes.String)))
	return zonedCall{i, call.Function(), call.Args()[0], zone}, err
}

func zonedFunctions() []string {
	return []string{"getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
		"getHours", "getMinutes", "getSeconds", "getMilliseconds"}
}
