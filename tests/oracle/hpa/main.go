// Copyright (c) 2026, the gpufleet.llm authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// hpa-oracle plays scenarios to the HorizontalPodAutoscaler controller of Kubernetes, on a virtual clock.
//
// Standard input has one scenario a line, standard output its answer: one row a step (see row), or what the API server
// would say against an object. Only the outside is made up: scale, status writer, pods and metrics. The controller, and
// the defaults and the validation of the API server, are upstream's own.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	"k8s.io/kubernetes/pkg/apis/autoscaling"
	_ "k8s.io/kubernetes/pkg/apis/autoscaling/install"
	hparegistry "k8s.io/kubernetes/pkg/registry/autoscaling/horizontalpodautoscaler"
)

type scenario struct {
	Tolerance float64       `json:"tolerance"`
	Window    time.Duration `json:"window"` // of the controller, for scaling down
	Steps     []step        `json:"steps"`
}

// A step is one sync of the controller, and the world it sees.
type step struct {
	After   time.Duration   `json:"after"`            // since the step before
	HPA     json.RawMessage `json:"hpa,omitempty"`    // the object from now on; absent: as before
	Forget  bool            `json:"forget,omitempty"` // the controller sees the object absent before
	Delete  bool            `json:"delete,omitempty"` // and its status is gone as well
	Spec    int32           `json:"spec"`
	Status  int32           `json:"status"`
	Refused bool            `json:"refused,omitempty"` // a write of the scale fails
	Pods    [4]int          `json:"pods"`              // ready, running, pending, failed
	Values  [][]int64       `json:"values"`            // of each metric; null: it cannot be read
}

// row is what came of a step: the count written or that of before, "status/reason" of AbleToScale, ScalingActive,
// ScalingLimited and ScaledToZero, and what the controller remembers: how many recommendations, their sum, how many
// changes up and down.
type row []any

func main() {
	klog.SetLogger(logr.Discard())
	utilruntime.ErrorHandlers = nil // failed syncs are what is asked for
	if err := utilfeature.DefaultMutableFeatureGate.Set("HPAScaleToZero=true"); err != nil {
		panic(err)
	}
	bubble := func(t *testing.T) { synctest.Test(t, serve) }
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{Name: "oracle", F: bubble}}, nil, nil)
}

func serve(*testing.T) {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), bufio.NewWriter(os.Stdout)
	for number := 0; ; number++ {
		var asked scenario
		err := in.Decode(&asked)
		if err == io.EOF {
			out.Flush()
			os.Exit(0) // the goroutines of controllers never end
		}
		if err != nil {
			panic(err)
		}
		var answer any
		if answer, err = play(asked, fmt.Sprintf("hpa-%d", number)); err != nil {
			answer = err.Error()
		}
		line, _ := json.Marshal(answer)
		out.Write(append(line, '\n'))
	}
}

func play(asked scenario, name string) ([]row, error) {
	w := worldOf(asked.Tolerance, asked.Window)
	key := "default/" + name
	rows := make([]row, 0, len(asked.Steps))
	for i := range asked.Steps {
		w.step = &asked.Steps[i]
		time.Sleep(w.step.After)
		if w.step.Forget && w.hpa != nil {
			kept := w.hpa
			w.vanish(key)
			w.appear(kept)
		}
		if w.step.HPA != nil {
			next, err := admitted(w.step.HPA, name, w.hpa)
			if err != nil {
				return nil, err
			}
			w.appear(next)
		}
		if w.step.Delete {
			w.hpa.Status = autoscalingv2.HorizontalPodAutoscalerStatus{}
		}
		w.written = w.step.Spec
		w.sync(key)
		rows = append(rows, w.row(key))
	}
	w.vanish(key)
	return rows, nil
}

// admitted is the object as the API server hands it out: defaults filled in, validated, quantities in the form that it
// stores, the status that of before.
func admitted(object []byte, name string, old *autoscalingv2.HorizontalPodAutoscaler) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	decoded, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(autoscaling.SchemeGroupVersion), object)
	if err != nil {
		return nil, err
	}
	internal := decoded.(*autoscaling.HorizontalPodAutoscaler)
	internal.Name, internal.Namespace, internal.ResourceVersion = name, "default", "1"
	if old != nil {
		internal.Generation = old.Generation
	}
	ctx := context.Background()
	kept := &autoscalingv2.HorizontalPodAutoscaler{}
	if old == nil {
		hparegistry.Strategy.PrepareForCreate(ctx, internal)
		err = hparegistry.Strategy.Validate(ctx, internal).ToAggregate()
	} else {
		before := &autoscaling.HorizontalPodAutoscaler{}
		if err := legacyscheme.Scheme.Convert(old, before, nil); err != nil {
			return nil, err
		}
		hparegistry.Strategy.PrepareForUpdate(ctx, internal, before)
		err = hparegistry.Strategy.ValidateUpdate(ctx, internal, before).ToAggregate()
	}
	if err != nil {
		return nil, err
	}
	if err := legacyscheme.Scheme.Convert(internal, kept, nil); err != nil {
		return nil, err
	}
	stored, err := json.Marshal(kept)
	if err != nil {
		return nil, err
	}
	kept = &autoscalingv2.HorizontalPodAutoscaler{}
	return kept, json.Unmarshal(stored, kept)
}
