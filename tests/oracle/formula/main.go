// Copyright (c) 2026, the gpufleet.llm authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Evaluates formulas of scalingModifiers as KEDA does. Each line of the input is a formula and its values by trigger,
// null for nil; each line of the output is what comes of it: refused, error, nil, or the bits of a float64.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/expr-lang/expr"
	kedav1alpha1 "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
)

type question struct {
	Formula string
	Values  map[string]*float64
}

func (q question) scaledObject() *kedav1alpha1.ScaledObject {
	so := &kedav1alpha1.ScaledObject{}
	so.Spec.Advanced = &kedav1alpha1.AdvancedConfig{
		ScalingModifiers: kedav1alpha1.ScalingModifiers{Formula: q.Formula, Target: "1"},
	}
	for name := range q.Values {
		so.Spec.Triggers = append(so.Spec.Triggers, kedav1alpha1.ScaleTriggers{Type: "prometheus", Name: name})
	}
	return so
}

// As calculateScalingModifiersFormula in pkg/scaling/modifiers/formula.go, which is not exported.
func (q question) answer() string {
	program, err := kedav1alpha1.ValidateAndCompileScalingModifiers(q.scaledObject())
	if err != nil {
		return "refused"
	}
	data := make(map[string]any)
	for name, value := range q.Values {
		data[name] = nil
		if value != nil {
			data[name] = *value
		}
	}
	result, err := expr.Run(program, data)
	if err != nil {
		return "error"
	}
	if result == nil {
		return "nil"
	}
	number, ok := result.(float64)
	if !ok {
		return "error"
	}
	return fmt.Sprintf("%016x", math.Float64bits(number))
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	for lines.Scan() {
		var q question
		if err := json.Unmarshal(lines.Bytes(), &q); err != nil {
			panic(err)
		}
		fmt.Fprintln(output, q.answer())
	}
}
