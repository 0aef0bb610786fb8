package faultfs

import (
	"time"

	"github.com/driftlesskv/driftless/faultfs/internal/explore"
)

// job is what a verifying process is asked to do: the states of some crash points
// of a trace, or, with States, these states.
type job struct {
	Trace string // file
	Model Model

	From, To int // crash points, To excluded
	States   []string
	After    string // states up to this one were verified before

	Depth int // of States, so many recoveries deep are to be cut off; 0: verify them

	All     bool // nothing is to be left out
	Subsets int
	Samples int
	Seed    uint64
	Limit   int // of distinct states; 0: none
	Until   time.Time

	Accepted []string // patterns of files in which recoveries may do what is not seen
}

func (j job) options() explore.Options {
	return explore.Options{Subsets: j.Subsets, Samples: j.Samples, Seed: j.Seed}
}

// ended reports whether the job has to stop after so many states.
func (j job) ended(states int) bool {
	return j.Limit == none || j.Limit > 0 && states >= j.Limit || !j.Until.IsZero() && time.Now().After(j.Until)
}

// none is the Limit of a job that may verify nothing.
const none = -1

// upTo returns j with the part of its time, since begun, and of its states that is
// for the crash points up to p: so that the last get as much as the first.
func (j job) upTo(p int, begun time.Time) job {
	if j.All {
		return j
	}
	n, of := p-j.From+1, j.To-j.From
	if j.Limit > 0 {
		if j.Limit = j.Limit * n / of; j.Limit == 0 {
			j.Limit = none
		}
	}
	j.Until = begun.Add(j.Until.Sub(begun) / time.Duration(of) * time.Duration(n))
	return j
}

// event is what a verifying process answers. At comes before each state, Bad if
// it violates, Done at the end of the job.
type event struct {
	At   *place
	Bad  *finding
	Done *tally
	Err  string

	Useless bool // with Bad: this process ends, and prints what else there is to say
}

// place names a state: the trace that it belongs to and its id there.
type place struct {
	Trace string
	State string
	Root  string // the state of Work under a state of recovery; else empty
}

// finding is a state that violates.
type finding struct {
	place
	Text string // what Recover or Verify said, or how the process ended
}

// tally is what a job did, or several.
type tally struct {
	Explored   int      // legal states, equal ones counted each time
	Verified   int      // different ones
	Recoveries int      // that were recorded and cut off
	Keys       []byte   // of the states verified, a stateKey each
	States     []string // the ids of the first of them, those of Work
	Cut        bool     // Until or Limit ended it
	Sampled    bool     // some crash point had more legal states than were explored
	Left       int      // crash points that Until or Limit left out altogether
	Blind      []string // what the recorder could not see of recoveries

	met map[stateKey]struct{} // of several, instead of Keys
}

// stateKey tells states apart: by the files and by the marks before the power cut.
type stateKey [16]byte

// add adds what a job did. Of equal states that several processes met it keeps one.
func (s *tally) add(o tally) {
	if s.met == nil {
		s.met = map[stateKey]struct{}{}
	}
	for i := 0; i < len(o.Keys)/len(stateKey{}); i++ {
		key := stateKey(o.Keys[i*len(stateKey{}):])
		if _, met := s.met[key]; met {
			continue
		}
		s.met[key] = struct{}{}
		if i < len(o.States) {
			s.States = append(s.States, o.States[i])
		}
	}
	s.Verified = len(s.met)
	s.Explored += o.Explored
	s.Recoveries += o.Recoveries
	s.Cut = s.Cut || o.Cut
	s.Sampled = s.Sampled || o.Sampled
	s.Left += o.Left
	s.Blind = append(s.Blind, o.Blind...)
}
