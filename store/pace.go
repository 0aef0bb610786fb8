package store

import (
	"runtime"
	"time"
)

// pace is what the forming of groups has learnt from the commits so far.
type pace struct {
	last    int           // waiters of the last group
	waiting int           // waiters that had queued up when it was done
	commit  time.Duration // smoothed duration of a commit
}

// learn takes in a commit of g that took so long while next queued up behind it.
func (p *pace) learn(g, next *group, took time.Duration) {
	p.last, p.waiting = g.waiters, 0
	if next != nil {
		p.waiting = next.waiters
	}
	if p.commit == 0 {
		p.commit = took
	}
	p.commit += (took - p.commit) / 8
}

// Bounds of a leader's wait: a part of the commit time, and an absolute one.
const (
	waitShare = 5 // a fifth
	waitMax   = 2 * time.Millisecond
)

// gather lets the leader wait for company: until as many have queued as were in
// the last group or waited behind it, but for a fifth of a commit at most. Callers
// that come back after each commit so form one group instead of two that take
// turns. A lone writer never waits: its last group was 1, and none was waiting.
func (db *DB) gather(g *group) {
	db.mu.Lock()
	want := db.pace.last + db.pace.waiting
	if g.waiters == 0 || g.waiters >= want {
		db.mu.Unlock()
		return
	}
	g.want = want
	patience := min(db.pace.commit/waitShare, waitMax)
	db.mu.Unlock()
	if patience < 100*time.Microsecond { // less than a timer can measure
		for start := time.Now(); time.Since(start) < patience; runtime.Gosched() {
			select {
			case <-g.full:
				return
			default:
			}
		}
		return
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-g.full:
	case <-timer.C:
	}
}
