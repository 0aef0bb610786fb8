package faultfs

import "time"

// progressEvery is how often a long exploration says how far it is.
const progressEvery = 10 * time.Second

// watch logs the progress of an exploration until the returned function is called.
func (r *run) watch(model string) (stop func()) {
	r.t.Helper()
	begun, first := time.Now(), r.pool.seen.Load()
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
				n, d := r.pool.seen.Load()-first, time.Since(begun)
				r.t.Logf("faultfs: %s: %d states verified in %v, %.0f/s", model, n, d.Round(time.Second), float64(n)/d.Seconds())
			}
		}
	}()
	return func() {
		close(end)
		<-ended
	}
}
