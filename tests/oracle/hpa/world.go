// Copyright (c) 2026, the gpufleet.llm authors
// GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"
	_ "unsafe" // for go:linkname

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	autoscalinginformers "k8s.io/client-go/informers/autoscaling/v2"
	coreinformers "k8s.io/client-go/informers/core/v1"
	autoscalingclient "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	v1core "k8s.io/client-go/kubernetes/typed/core/v1"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	scaleclient "k8s.io/client-go/scale"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/controller/podautoscaler"
	metricsclient "k8s.io/kubernetes/pkg/controller/podautoscaler/metrics"
)

// reconcileKey is what a worker of the controller calls for each HPA that is due.
//
//go:linkname reconcileKey k8s.io/kubernetes/pkg/controller/podautoscaler.(*HorizontalController).reconcileKey
func reconcileKey(*podautoscaler.HorizontalController, context.Context, string) (bool, error)

// world is all that one controller sees and writes.
type world struct {
	controller *podautoscaler.HorizontalController
	handler    cache.ResourceEventHandler
	step       *step
	hpa        *autoscalingv2.HorizontalPodAutoscaler
	written    int32
}

var worlds = map[[2]any]*world{}

func worldOf(tolerance float64, window time.Duration) *world {
	key := [2]any{tolerance, window}
	if known, ok := worlds[key]; ok {
		return known
	}
	w := &world{}
	worlds[key] = w
	stopped, stop := context.WithCancel(context.Background())
	stop()
	w.controller = podautoscaler.NewHorizontalController(
		stopped, noEvents{}, scales{world: w}, statuses{world: w}, mapper{}, metrics{world: w},
		hpas{world: w}, pods{world: w}, 15*time.Second, window, tolerance, 5*time.Minute, 30*time.Second)
	w.controller.Run(stopped, 1) // ends at once, and with it the queue: play says when a sync is due
	return w
}

// sync ends in an error whenever a metric does, so the error is no news.
func (w *world) sync(key string) {
	_, _ = reconcileKey(w.controller, context.Background(), key)
}

// appear and vanish are what the informer of HPAs tells: a controller leaves alone what it has not seen appear.
func (w *world) appear(hpa *autoscalingv2.HorizontalPodAutoscaler) {
	w.hpa = hpa
	w.handler.OnAdd(hpa, false)
}

func (w *world) vanish(key string) {
	w.handler.OnDelete(w.hpa)
	w.hpa = nil
	w.sync(key)
}

func (w *world) row(key string) row {
	found := map[autoscalingv2.HorizontalPodAutoscalerConditionType]string{}
	for _, condition := range w.hpa.Status.Conditions {
		found[condition.Type] = string(condition.Status) + "/" + condition.Reason
	}
	recommendations := w.memory("recommendations", key)
	sum := int64(0)
	for i := range recommendations.Len() {
		sum += recommendations.Index(i).FieldByName("recommendation").Int()
	}
	return row{
		w.written,
		found[autoscalingv2.AbleToScale], found[autoscalingv2.ScalingActive], found[autoscalingv2.ScalingLimited],
		found["ScaledToZero"], // since 1.36
		recommendations.Len(), sum,
		w.memory("scaleUpEvents", key).Len(), w.memory("scaleDownEvents", key).Len(),
	}
}

func (w *world) memory(field, key string) reflect.Value {
	value := reflect.ValueOf(w.controller).Elem().FieldByName(field).MapIndex(reflect.ValueOf(key))
	if !value.IsValid() {
		return reflect.ValueOf([]int{})
	}
	return value
}

var deployments = schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "Deployment"}

type mapper struct{ meta.RESTMapper }

func (mapper) RESTMappings(schema.GroupKind, ...string) ([]*meta.RESTMapping, error) {
	resource := deployments.GroupVersion().WithResource("deployments")
	return []*meta.RESTMapping{{Resource: resource, GroupVersionKind: deployments, Scope: meta.RESTScopeNamespace}}, nil
}

type scales struct {
	scaleclient.ScaleInterface
	*world
}

func (s scales) Scales(string) scaleclient.ScaleInterface { return s }

func (s scales) Get(_ context.Context, _ schema.GroupResource, name string, _ metav1.GetOptions) (*autoscalingv1.Scale, error) {
	return &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       autoscalingv1.ScaleSpec{Replicas: s.step.Spec},
		Status:     autoscalingv1.ScaleStatus{Replicas: s.step.Status, Selector: "app=a"},
	}, nil
}

func (s scales) Update(_ context.Context, _ schema.GroupResource, scale *autoscalingv1.Scale, _ metav1.UpdateOptions) (*autoscalingv1.Scale, error) {
	if s.step.Refused || scale.Spec.Replicas < 0 { // no API server takes a negative count
		return nil, errors.New("refused")
	}
	s.written = scale.Spec.Replicas
	return scale, nil
}

type statuses struct {
	autoscalingclient.HorizontalPodAutoscalerInterface
	*world
}

func (s statuses) HorizontalPodAutoscalers(string) autoscalingclient.HorizontalPodAutoscalerInterface {
	return s
}

func (s statuses) UpdateStatus(_ context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, _ metav1.UpdateOptions) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	s.hpa.Status = hpa.Status
	return hpa, nil
}

// hpas is informer and lister in one.
type hpas struct{ *world }

var _ autoscalinginformers.HorizontalPodAutoscalerInformer = hpas{}

func (h hpas) Informer() cache.SharedIndexInformer {
	return silentInformer(h.world, &autoscalingv2.HorizontalPodAutoscaler{})
}

func (h hpas) Lister() autoscalinglisters.HorizontalPodAutoscalerLister { return h }

func (h hpas) HorizontalPodAutoscalers(string) autoscalinglisters.HorizontalPodAutoscalerNamespaceLister {
	return h
}

func (h hpas) List(labels.Selector) ([]*autoscalingv2.HorizontalPodAutoscaler, error) {
	panic("the controller lists no HPAs")
}

func (h hpas) Get(name string) (*autoscalingv2.HorizontalPodAutoscaler, error) {
	if h.hpa == nil {
		return nil, apierrors.NewNotFound(autoscalingv2.Resource("horizontalpodautoscalers"), name)
	}
	return h.hpa, nil
}

// pods is informer and lister in one; every pod matches the selector of the scale.
type pods struct{ *world }

var _ coreinformers.PodInformer = pods{}

func (p pods) Informer() cache.SharedIndexInformer { return silentInformer(p.world, &v1.Pod{}) }

func (p pods) Lister() corelisters.PodLister { return p }

func (p pods) Pods(string) corelisters.PodNamespaceLister { return p }

func (p pods) Get(string) (*v1.Pod, error) { panic("the controller gets no pod") }

func (p pods) List(labels.Selector) ([]*v1.Pod, error) {
	var found []*v1.Pod
	for kind, count := range p.step.Pods {
		for number := range count {
			found = append(found, podOf(kind, number))
		}
	}
	return found, nil
}

// silent is an informer that never runs: the lister beside it is what the controller reads, and what is told to a
// handler comes from play.
type silent struct {
	cache.SharedIndexInformer
	*world
}

func silentInformer(w *world, example runtime.Object) cache.SharedIndexInformer {
	return silent{cache.NewSharedIndexInformer(&cache.ListWatch{}, example, 0, nil), w}
}

func (s silent) AddEventHandlerWithResyncPeriod(handler cache.ResourceEventHandler, _ time.Duration) (cache.ResourceEventHandlerRegistration, error) {
	s.handler = handler
	return nil, nil
}

var kinds = []v1.PodStatus{
	{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}},
	{Phase: v1.PodRunning, Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionFalse}}},
	{Phase: v1.PodPending},
	{Phase: v1.PodFailed},
}

var made = map[[2]int]*v1.Pod{}

func podOf(kind, number int) *v1.Pod {
	pod := made[[2]int{kind, number}]
	if pod == nil {
		meta := metav1.ObjectMeta{Name: fmt.Sprintf("pod-%d-%d", kind, number), Namespace: "default"}
		pod = &v1.Pod{ObjectMeta: meta, Status: kinds[kind]}
		made[[2]int{kind, number}] = pod
	}
	return pod
}

type metrics struct {
	metricsclient.MetricsClient
	*world
}

// values of metric "m<index>".
func (m metrics) values(name string) ([]int64, error) {
	if found := m.step.Values[name[1]-'0']; found != nil {
		return found, nil
	}
	return nil, errors.New("no such metric")
}

func (m metrics) GetResourceMetric(_ context.Context, resource v1.ResourceName, _ string, _ labels.Selector, _ string) (metricsclient.PodMetricsInfo, time.Time, error) {
	for i, metric := range m.hpa.Spec.Metrics {
		if metric.Resource != nil && metric.Resource.Name == resource {
			return m.ofPods(fmt.Sprintf("m%d", i))
		}
	}
	panic("the HPA has no metric of " + resource)
}

// ofPods gives the values to running pods, in order; those that are Pending or Failed have one that must not count.
func (m metrics) ofPods(name string) (metricsclient.PodMetricsInfo, time.Time, error) {
	values, err := m.values(name)
	if err != nil {
		return nil, time.Time{}, err
	}
	found := metricsclient.PodMetricsInfo{}
	for kind, count := range m.step.Pods {
		for number := range count {
			pod := podOf(kind, number).Name
			if kind > 1 {
				found[pod] = metricsclient.PodMetric{Value: 1 << 40}
			} else if len(values) > 0 {
				found[pod] = metricsclient.PodMetric{Value: values[0]}
				values = values[1:]
			}
		}
	}
	return found, time.Now(), nil
}

func (m metrics) GetRawMetric(name, _ string, _, _ labels.Selector) (metricsclient.PodMetricsInfo, time.Time, error) {
	return m.ofPods(name)
}

func (m metrics) GetExternalMetric(name, _ string, _ labels.Selector) ([]int64, time.Time, error) {
	found, err := m.values(name)
	return found, time.Now(), err
}

// noEvents is never asked: its broadcaster is stopped from the start, for events cost more than all else.
type noEvents struct{}

func (noEvents) Events(string) v1core.EventInterface { return nil }
