package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/driftlesskv/driftless/recovery"
	"github.com/driftlesskv/driftless/store"
)

// maxDepth is how often recovery is cut off before it may come to its end.
const maxDepth = 3

// crash ends the world: what has reached the file and the backing is copied, and
// whatever still runs goes on in a world that nobody looks at again.
func (m *machine) crash(t *rapid.T, tasks []*task) {
	m.total.crashes++
	clear(m.cutOffs)
	m.logf(t, "crash")
	for _, task := range tasks {
		task.ended = m.isDone(task)
	}
	m.generation++
	next, err := m.world.copyTo(filepath.Join(m.base, fmt.Sprint(m.generation)))
	if err != nil {
		m.fatalf(t, "crash: %v", err)
	}
	m.end(t)
	for _, task := range tasks {
		if task.started && !m.isDone(task) {
			m.fatalf(t, "(7) %s does not end", task.name)
		}
	}
	m.world = next
}

// lose records for what a crash has left of failed creations that what became of
// them may be lost: then they are rolled forward.
func (m *machine) lose() {
	for _, a := range m.attempts {
		if a.allowed.has(creating.claimAs(a.claimed)) {
			a.allowed |= of(ready.claimAs(a.claimed))
		}
	}
}

// end lets everything run to its end, closes the store and throws its world away.
func (m *machine) end(t *rapid.T) {
	m.setOpen(true)
	synctest.Wait()
	if m.db != nil {
		if err := m.db.Close(); err != nil {
			m.fatalf(t, "close: %v", err)
		}
	}
	synctest.Wait()
	m.setOpen(false)
	m.db, m.devs = nil, nil
	if v := m.world.mem.Violations(); len(v) > 0 {
		m.fatalf(t, "the backing was called wrongly: %q", v)
	}
	if err := os.RemoveAll(m.world.dir); err != nil {
		m.fatalf(t, "remove store: %v", err)
	}
}

// recover opens the store that a crash or Close has left. Unless it shall be
// healthy, faults may be injected and recovery itself be cut off, time and again.
func (m *machine) recover(t *rapid.T, healthy bool) *recovery.Report {
	m.answered = map[string]map[verdict]bool{}
	m.lose()
	for depth := 0; ; depth++ {
		mood := calm
		if !healthy {
			mood = m.drawMood(t)
		}
		if depth == maxDepth {
			mood.crash = -1
		}
		m.before, m.answers, m.faults = m.world.truth(), map[string]verdict{}, 0
		m.disowned = map[string]bool{}
		var report *recovery.Report
		opts := m.options(t)
		open := &task{name: "open", run: func(ctx context.Context) (err error) {
			m.db, report, err = recovery.Open(ctx, m.world.dir, opts)
			return err
		}}
		alive := m.play(t, []*task{open}, m.judge(t, mood, []*task{open}))
		m.total.recoveries++
		m.logf(t, "recovery: alive %v, error %v\n%v", alive, open.err, report)
		if !alive {
			m.total.nested++
			m.crash(t, []*task{open})
			m.recovered(func(l *life, s status) set { return m.reopened(l, s, false) | of(s) })
			continue
		}
		if open.err != nil && m.weather["identity"] == elsewhere && errors.Is(open.err, store.ErrIdentity) {
			m.recovered(func(l *life, s status) set { return of(s) })
			m.weather = nil
			continue
		}
		if open.err != nil {
			if m.weather["remove"] == cancel {
				m.weather = nil // else it is cancelled for ever
			}
			fresh := len(m.opened) == 0 && errors.Is(open.err, errInjected) // whose pool is it?
			if m.faults == 0 || !errors.Is(open.err, context.Canceled) && !fresh {
				m.fatalf(t, "(7) (10) recovery failed: %v", open.err)
			}
			m.recovered(func(l *life, s status) set { return m.reopened(l, s, false) | of(s) })
			continue
		}
		fine := m.faults == 0 && len(m.weather) == 0
		m.recovered(func(l *life, s status) set { return m.reopened(l, s, fine) })
		m.finish(t, report, fine)
		return report
	}
}

// recovered applies f, which tells what a recovery makes of a status, to all lives.
func (m *machine) recovered(f func(*life, status) set) {
	for _, l := range m.lives {
		after := (l.file | l.now).each(func(s status) set { return f(l, s) })
		file := after | l.file | l.now
		if m.answers[l.dev.Name] == gone && (file.has(ready) || file.has(creating)) {
			file |= of(removing)
		}
		l.become(after, file)
	}
}

// reopened is what one recovery makes of a status that it finds in the file.
func (m *machine) reopened(l *life, s status, healthy bool) set {
	settled := l.settled(s, m.before.at(l.dev.ID), healthy, true)
	answer := m.answers[l.dev.Name]
	if !settled.has(ready) || answer != live && answer != gone {
		return settled
	}
	others := settled &^ of(ready)
	switch {
	case answer == live:
		return others | of(readyClaimed)
	case healthy:
		return others | l.settled(removing, m.before.at(l.dev.ID), true, true)
	}
	return settled | removed // it stays if the backing's identity cannot be told
}

// finish takes over the store that recovery has opened, and holds the report
// against the truth.
func (m *machine) finish(t *rapid.T, report *recovery.Report, fine bool) {
	devs, err := m.db.Devices(table)
	if err != nil {
		m.fatalf(t, "devices: %v", err)
	}
	m.devs, m.commits = devs, m.db.Stats().Commits
	m.opened = append(m.opened, m.db.Incarnation())
	m.check(t)
	m.checkReport(t, report, fine)
	if len(report.Unlisted) == 0 {
		m.knowPlants()
	}
}

// checkReport holds the report of a recovery or scrub against the table and the
// truth. fine tells that nothing was made to fail.
func (m *machine) checkReport(t *rapid.T, report *recovery.Report, fine bool) {
	var unclaimed, disowned, faulties []store.DeviceID
	for id, rec := range m.records {
		switch s := statusOf(rec); {
		case s == ready:
			unclaimed = append(unclaimed, id)
		case s == readyClaimed && m.disowned[rec.Name]:
			disowned = append(disowned, id)
		case s >= faulty:
			faulties = append(faulties, id)
		case s.unsettled() && fine:
			m.fatalf(t, "(2) (10) %+v is not settled although nothing failed:\n%v", rec, report)
		}
	}
	slices.Sort(unclaimed)
	slices.Sort(disowned)
	slices.Sort(faulties)
	if got := ids(report.Unclaimed); !slices.Equal(got, unclaimed) {
		m.fatalf(t, "reported unclaimed %v, want %v", got, unclaimed)
	}
	if got := ids(report.Disowned); !slices.Equal(got, disowned) {
		m.fatalf(t, "reported disowned %v, want %v", got, disowned)
	}
	if got := ids(report.Faulty); !slices.Equal(got, faulties) {
		m.fatalf(t, "reported faulty %v, want %v", got, faulties)
	}
	if len(report.Quarantined) > 0 || fine && len(report.Pending)+len(report.Unlisted) > 0 {
		m.fatalf(t, "reported without a cause:\n%v", report)
	}
	if len(report.Unlisted) == 0 {
		m.checkDrift(t, report, fine)
	}
}

// checkDrift holds orphans and missing devices of a report against the truth.
func (m *machine) checkDrift(t *rapid.T, report *recovery.Report, fine bool) {
	there := m.world.truth()
	var orphans, missing []store.DeviceID
	for id, res := range there {
		rec, ok := m.records[id]
		if !ok {
			m.fatalf(t, "(3) (4) id %d is free after a comparison that found %+v", id, res)
		}
		own := rec.Stamp == res.Stamp || res.Presence == store.Partial && res.Stamp.IsZero()
		if !own || rec.Stamp.IsZero() {
			orphans = append(orphans, id)
		}
	}
	for id, rec := range m.records {
		res := there.at(id)
		displaced := res.Presence == store.Present && res.Stamp != rec.Stamp
		if statusOf(rec).usable() && (res.Presence == store.Absent || displaced) {
			missing = append(missing, id)
		}
	}
	slices.Sort(orphans)
	slices.Sort(missing)
	if got := ids(report.Orphans); !slices.Equal(got, orphans) {
		m.fatalf(t, "(4) reported orphans %v, want %v", got, orphans)
	}
	if !fine { // what could not be probed is not reported
		missing = slices.DeleteFunc(missing, func(id store.DeviceID) bool { return !slices.Contains(ids(report.Missing), id) })
	}
	if got := ids(report.Missing); !slices.Equal(got, missing) {
		m.fatalf(t, "(4) reported missing %v, want %v", got, missing)
	}
}

// knowPlants notes that list and table were compared: from now on the id of what is
// there is not free.
func (m *machine) knowPlants() {
	for _, p := range m.planted {
		p.known = true
	}
}

// recoverTwice closes the store and recovers again: nothing may change.
func (m *machine) recoverTwice(t *rapid.T, first *recovery.Report) {
	records, there := m.records, m.world.truth()
	m.do(t, calm, &op{kind: "close"})
	m.silent = true
	again := m.recover(t, true)
	m.silent = false
	if !reflect.DeepEqual(m.records, records) || !reflect.DeepEqual(m.world.truth(), there) {
		m.fatalf(t, "(7) the second recovery changed\n%+v to\n%+v,\n%+v to\n%+v", records, m.records, there, m.world.truth())
	}
	did := len(again.Completed) + len(again.Undone) + len(again.Removed) + len(again.Claimed) + len(again.Released)
	if did > 0 || !slices.Equal(first.Orphans, again.Orphans) || !slices.Equal(first.Missing, again.Missing) {
		m.fatalf(t, "(7) the first recovery:\n%vthe second:\n%v", first, again)
	}
}

func ids(findings []recovery.Finding) (all []store.DeviceID) {
	for _, f := range findings {
		all = append(all, f.ID)
	}
	return all
}
