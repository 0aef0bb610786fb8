package naive

import (
	"errors"
	"fmt"

	"github.com/driftlesskv/driftless/examples/snapshotter/internal/step"
)

// A pool is pool.db and the volumes, kept in step by noting each state before and
// after it is reached.
type pool struct {
	meta    metadata
	volumes Volumes
	points  *step.Points
}

// create makes a device: its id in one transaction, then each state in one more.
func (p *pool) create(name, parent string) (Info, error) {
	var from uint32
	if parent != "" {
		base, err := p.usable(parent)
		if err != nil {
			return Info{}, err
		}
		from = base.ID
	}
	info := Info{Name: name, Parent: parent, State: Unknown}
	if err := p.points.Around("Pool.Add", func() error { return p.meta.add(&info) }); err != nil {
		return Info{}, err
	}
	err := p.transition(name, Creating, Created, func() error { return p.volumes.Create(info.ID, from) })
	if err != nil {
		// Something is wrong with this id: it is never used again.
		return Info{}, errors.Join(err, p.change(name, Faulty, err.Error()))
	}
	return info, p.change(name, Activated, "")
}

// remove unmakes a device, and its record last.
func (p *pool) remove(name string) error {
	info, err := p.meta.get(name)
	if err != nil {
		return err
	}
	err = p.transition(name, Removing, Removed, func() error { return p.volumes.Remove(info.ID) })
	if err != nil {
		return err
	}
	return p.points.Around("Pool.Remove", func() error { return p.meta.remove(name) })
}

// transition notes the state that is tried, tries, and notes how it went.
func (p *pool) transition(name string, trying, done State, try func() error) error {
	if err := p.change(name, trying, ""); err != nil {
		return err
	}
	if err := try(); err != nil {
		return errors.Join(err, p.change(name, trying, err.Error()))
	}
	return p.change(name, done, "")
}

func (p *pool) change(name string, state State, reason string) error {
	return p.points.Around("Pool.Change", func() error { return p.meta.change(name, state, reason) })
}

func (p *pool) usable(name string) (Info, error) {
	info, err := p.meta.get(name)
	if err == nil && info.State != Activated {
		err = fmt.Errorf("device %q is in state %d", name, info.State)
	}
	return info, err
}

// recover is what happens at start-up: a device that was on its way from one state
// to another when the process ended is faulty, and so is one whose directory does
// not answer.
func (p *pool) recover() error {
	infos, err := p.meta.all()
	if err != nil {
		return err
	}
	for _, info := range infos {
		switch info.State {
		case Faulty, Removed:
		case Activated:
			if err := p.volumes.Check(info.ID); err != nil {
				if err := p.change(info.Name, Faulty, err.Error()); err != nil {
					return err
				}
			}
		case Unknown, Creating, Created, Removing:
			if err := p.change(info.Name, Faulty, "interrupted"); err != nil {
				return err
			}
		}
	}
	return nil
}
