package filter

import "math"

// What is looked for in arguments. The numbers are the same on all architectures
// that we know.
const (
	OpenCreate  = 0x40
	OpenEmpty   = 0x200    // O_TRUNC
	OpenTmpfile = 0x400000 // without O_DIRECTORY, whose value differs
	ProtWrite   = 0x2
	MapShared   = 0x1 // also set in MAP_SHARED_VALIDATE
	MapAnon     = 0x20
	MsyncSync   = 0x4

	CloneMounts = 0x20000    // CLONE_NEWNS
	CloneUsers  = 0x10000000 // CLONE_NEWUSER

	CloneFile  = 0x40049409 // FICLONE
	CloneRange = 0x4020940d // FICLONERANGE

	// The forerunners of fallocate.
	Reserve     = 0x40305828 // FS_IOC_RESVSP
	Unreserve   = 0x40305829 // FS_IOC_UNRESVSP
	Reserve64   = 0x4030582a // FS_IOC_RESVSP64
	Unreserve64 = 0x4030582b // FS_IOC_UNRESVSP64
	ZeroRange   = 0x40305839 // FS_IOC_ZERO_RANGE
)

// action is what the filter does with a call.
type action uint8

const (
	notify action = iota // ask the supervisor
	refuse               // fail with ENOSYS
)

// rule is what the filter does with a call whose arguments meet all conditions;
// otherwise the call is allowed.
type rule struct {
	call  Call
	do    action
	conds []cond
}

// cond is a condition on the low half of one argument.
type cond struct {
	arg   int
	set   uint32   // one of these bits is set
	clear uint32   // all of these bits are clear
	oneOf []uint32 // or: it is one of these
}

// special are the rules that are not simply to notify.
var special = map[Call]rule{
	Open:          {conds: []cond{{arg: 1, set: OpenCreate | OpenEmpty | OpenTmpfile}}},
	Openat:        {conds: []cond{{arg: 2, set: OpenCreate | OpenEmpty | OpenTmpfile}}},
	Mmap:          {conds: []cond{{arg: 3, set: MapShared}, {arg: 3, clear: MapAnon}}},
	Mprotect:      {conds: []cond{{arg: 2, set: ProtWrite}}},
	PkeyMprotect:  {conds: []cond{{arg: 2, set: ProtWrite}}},
	Msync:         {conds: []cond{{arg: 2, set: MsyncSync}}},
	Ioctl:         {conds: []cond{{arg: 1, oneOf: []uint32{CloneFile, CloneRange, Reserve, Unreserve, Reserve64, Unreserve64, ZeroRange}}}},
	Unshare:       {conds: []cond{{arg: 0, set: CloneMounts | CloneUsers}}},
	Clone:         {conds: []cond{{arg: 0, set: CloneMounts}}},
	Prlimit64:     {conds: []cond{{arg: 2, set: math.MaxUint32}}}, // a pointer to new limits, not nil
	Setxattrat:    {do: refuse},                                   // too new for any program to do without the older ones
	Removexattrat: {do: refuse},
}

// rules returns the rules for all calls, the frequent ones first.
func rules() []rule {
	all := make([]rule, 0, Calls)
	for c := None + 1; c < Calls; c++ {
		r := special[c]
		r.call = c
		all = append(all, r)
	}
	return all
}
