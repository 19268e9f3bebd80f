package policytest

import (
	"encoding/xml"
	"io"
	"strings"
)

// junit is the form that continuous integration reads.
type junit struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the results in the XML form of JUnit, a suite for each
// file.
func (r *Report) WriteJUnit(w io.Writer) error {
	doc := junit{Tests: len(r.Results), Failures: r.Failures()}
	for i := range r.Results {
		result := &r.Results[i]
		if n := len(doc.Suites); n == 0 || doc.Suites[n-1].Name != result.File {
			doc.Suites = append(doc.Suites, junitSuite{Name: result.File})
		}
		suite := &doc.Suites[len(doc.Suites)-1]
		c := junitCase{Class: strings.TrimSuffix(result.File, ".yaml"), Name: result.Test.Name, File: result.File, Line: result.Test.Line}
		if result.Failed() {
			suite.Failures++
			c.Failure = &junitFailure{result.Differences[0], strings.Join(result.Differences, "\n") + "\n" + result.Explanation.String()}
		}
		suite.Tests++
		suite.Cases = append(suite.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
