package faultfs

import "time"

// budget shares time and states out among jobs, so that the last crash points get
// as much as the first. What a job leaves goes to those after it.
type budget struct {
	until   time.Time
	workers int
	states  int  // 0: any number
	shared  bool // else each job may use all of it
}

// half returns the part of b for the states of Work when those of recovery are
// explored too.
func (b budget) half() budget {
	b.until = time.Now().Add(time.Until(b.until) / 2)
	if b.states > 0 {
		b.states = max(1, b.states/2)
	}
	return b
}

// plan gives j its share: of what is left, an equal part for each of the left jobs.
func (b budget) plan(j *job, left, verified int) {
	if !b.shared {
		j.Until = b.until
		return
	}
	rounds := (left + b.workers - 1) / b.workers
	now := time.Now()
	j.Until = now.Add(b.until.Sub(now) / time.Duration(max(1, rounds)))
	if b.states > 0 {
		j.Limit = max(1, (b.states-verified)/left)
	}
}
