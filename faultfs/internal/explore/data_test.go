package explore_test

import (
	"syscall"
	"testing"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/model"
)

// Small models: one rule at a time.
var (
	whole   = model.Model{Name: "whole"}
	torn    = model.Model{Name: "torn", Tear: 4}
	sized   = model.Model{Name: "sized", Tear: 4, SizeAlone: true}
	stale   = model.Model{Name: "stale", Tear: 4, SizeAlone: true, Stale: true}
	dropped = model.Model{Name: "dropped", Tear: 4, DropFailed: true}
)

var dataRules = []ruleTest{
	{"a write is whole without tear units", whole, func(s *script) {
		s.write(s.base("f", "aaaaaaaa"), 0, "bbbbbbbb")
	}, []string{"f=a8", "f=b8"}},
	{"writes are lost in any order", whole, func(s *script) {
		f := s.base("f", "aaaa")
		s.write(f, 0, "bb")
		s.write(f, 2, "cc")
	}, []string{"f=a4", "f=b2a2", "f=a2c2", "f=b2c2"}},
	{"an older write is below a newer one that overlaps", whole, func(s *script) {
		f := s.base("f", "aaaa")
		s.write(f, 0, "bbb")
		s.write(f, 2, "cc")
	}, []string{"f=a4", "f=b3a", "f=b2c2"}},
	{"also if one between them is durable", whole, func(s *script) {
		f := s.base("f", "aaaaaa")
		late := s.write(f, 0, "b")
		s.writeSync(f, 4, "c", trace.SyncData)
		s.writeSync(f, 0, "d", trace.SyncData)
		s.late(late)
	}, []string{"f=da3ca"}},
	{"a write tears at aligned units", torn, func(s *script) {
		s.write(s.base("f", "aaaaaaaaaaaa"), 2, "bbbbbbbb")
	}, []string{"f=a12", "f=a2b2a8", "f=a4b4a4", "f=a8b2a2", "f=a2b6a4", "f=a2b2a4b2a2", "f=a4b6a2", "f=a2b8a2"}},
	{"a unit holds one of the versions that it had", torn, func(s *script) {
		f := s.base("f", "aaaa")
		s.write(f, 0, "b")
		s.write(f, 3, "c")
	}, []string{"f=a4", "f=ba3", "f=ba2c"}},
	{"data makes the file longer", torn, func(s *script) {
		s.write(s.base("f", ""), 0, "bbbbbb")
	}, []string{"f=", "f=b4", "f=04b2", "f=b6"}},
	{"a size can be there alone", sized, func(s *script) {
		s.write(s.base("f", "a"), 1, "bbb")
	}, []string{"f=a", "f=a03", "f=ab3"}},
	{"data is not there without its size", sized, func(s *script) {
		f := s.base("f", "")
		s.write(f, 0, "bbbb")
		s.write(f, 4, "cccc")
		s.write(f, 1, "d")
	}, []string{"f=", "f=04", "f=b4", "f=08", "f=b404", "f=04c4", "f=b4c4", "f=bdb2", "f=bdb204", "f=bdb2c4"}},
	{"the unwritten shows old blocks", stale, func(s *script) {
		s.write(s.base("f", ""), 0, "bb")
	}, []string{"f=", "f=~2", "f=b2"}},
	{"so does what was skipped, until it is synced", stale, func(s *script) {
		f := s.base("f", "")
		s.write(f, 512, "b")
		s.fsync(f)
		s.write(f, 1024, "c")
	}, []string{"f=0512b", "f=0512b0511~", "f=0512b0511c"}},
	{"of much that was skipped only the ends show them", stale, func(s *script) {
		s.truncate(s.base("f", ""), 3<<20)
	}, []string{"f=", "f=~1048576" + "01048576" + "~1048576", "f=03145728"}},
	{"a truncate to more shows zeros once synced", stale, func(s *script) {
		f := s.base("f", "")
		s.truncate(f, 2)
	}, []string{"f=", "f=~2", "f=02"}},
	{"a write that changes nothing is no change", sized, func(s *script) {
		f := s.base("f", "aaaa")
		s.write(f, 0, "aaaa")
		s.write(f, 0, "aab")
	}, []string{"f=a4", "f=a2ba"}},
	{"zeros are a change where old blocks would show", stale, func(s *script) {
		s.write(s.base("f", ""), 0, "\x00\x00")
	}, []string{"f=", "f=~2", "f=02"}},
	{"what was skipped is zeros before what is behind it is there", model.Model{Name: "filled", Tear: 4, Stale: true}, func(s *script) {
		s.write(s.base("f", ""), 2, "b")
	}, []string{"f=", "f=02", "f=02b"}},
	{"a hole", torn, func(s *script) {
		f := s.base("f", "aaaaaaaa")
		s.do(trace.Op{Kind: trace.Punch, Ino: f, Off: 2, Len: 100})
	}, []string{"f=a8", "f=a202a4", "f=a404", "f=a206"}},
	{"fallocate grows, with zeros, and does not shrink", torn, func(s *script) {
		f := s.base("f", "aaaa")
		s.do(trace.Op{Kind: trace.Fallocate, Ino: f, Len: 6})
		s.do(trace.Op{Kind: trace.Fallocate, Ino: f, Len: 3})
	}, []string{"f=a4", "f=a402"}},
}

func TestData(t *testing.T) {
	for _, tt := range dataRules {
		tt.run(t)
	}
}

func TestTruncate(t *testing.T) {
	for _, tt := range []ruleTest{
		{"is a version of what it cuts", sized, func(s *script) {
			f := s.base("f", "aaaaaaaa")
			s.write(f, 0, "bbbb")
			s.write(f, 4, "cccc")
			s.truncate(f, 6)
		}, []string{"f=a8", "f=b4a4", "f=a4c4", "f=b4c4", "f=a4c2", "f=b4c2"}},
		{"what was cut does not come back when the file grows", sized, func(s *script) {
			f := s.base("f", "aaaa")
			s.truncate(f, 0)
			s.fsync(f)
			s.truncate(f, 4)
		}, []string{"f=", "f=04"}},
		{"to nothing and a rewrite", sized, func(s *script) {
			f := s.base("f", "aa")
			s.truncate(f, 0)
			s.write(f, 0, "b")
		}, []string{"f=a2", "f=", "f=0", "f=b"}},
		{"to nothing and a rewrite, the size with the data", torn, func(s *script) {
			f := s.base("f", "aa")
			s.truncate(f, 0)
			s.write(f, 0, "b")
		}, []string{"f=a2", "f=", "f=b"}},
		{"comes before a write into what it left", sized, func(s *script) {
			f := s.base("f", "aaaa")
			s.truncate(f, 2)
			s.write(f, 0, "b")
		}, []string{"f=a4", "f=a2", "f=ba"}},
		{"a size never comes back over a newer durable one", sized, func(s *script) {
			f := s.base("f", "a")
			late := s.truncate(f, 4)
			s.truncate(f, 2)
			s.fsync(f)
			s.late(late)
		}, []string{"f=a0"}},
		{"nor over durable data behind it", torn, func(s *script) {
			f := s.base("f", "aaaa")
			late := s.truncate(f, 5)
			s.write(f, 0, "bbbbbb")
			s.writeSync(f, 5, "c", trace.SyncData)
			s.late(late)
		}, []string{"f=a4bc", "f=b5c"}},
		{"of whole writes", whole, func(s *script) {
			f := s.base("f", "aaaa")
			s.write(f, 0, "bb")
			s.write(f, 2, "cc")
			s.truncate(f, 3)
		}, []string{"f=a4", "f=b2a2", "f=a2c2", "f=b2c2", "f=a2c", "f=b2c"}},
	} {
		tt.run(t)
	}
}

var syncRules = []ruleTest{
	{"fsync commits the file and no other", torn, func(s *script) {
		f, g := s.base("f", "a"), s.base("g", "a")
		s.write(f, 0, "b")
		s.write(g, 0, "c")
		s.fsync(f)
	}, []string{"f=b g=a", "f=b g=c"}},
	{"fdatasync leaves attributes out", torn, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "bb")
		s.chmod(f, 0o600)
		s.fdatasync(f)
	}, []string{"f=b2", "f=b2:600"}},
	{"fsync does not", torn, func(s *script) {
		f := s.base("f", "a")
		s.chmod(f, 0o600)
		s.fsync(f)
	}, []string{"f=a:600"}},
	{"a write during the sync is not covered", torn, func(s *script) {
		f := s.base("f", "a")
		i := s.write(f, 0, "b")
		s.fsync(f)
		s.late(i)
	}, []string{"f=a", "f=b"}},
	{"nor one that began during it", torn, func(s *script) {
		f := s.base("f", "a")
		i := s.fsync(f)
		s.write(f, 0, "b")
		s.late(i)
	}, []string{"f=a", "f=b"}},
	{"a durable write covers the older ones of its unit", torn, func(s *script) {
		f := s.base("f", "aaaaaaaa")
		late := s.write(f, 0, "bb")
		s.write(f, 4, "b")
		s.writeSync(f, 1, "c", trace.SyncData)
		s.late(late)
	}, []string{"f=bca6", "f=bca2ba3"}},
	{"a synchronous write commits its range and the size", sized, func(s *script) {
		f := s.base("f", "aaaa")
		s.write(f, 0, "b")
		s.chmod(f, 0o600)
		s.writeSync(f, 4, "c", trace.SyncData)
	}, []string{"f=a4c", "f=ba3c", "f=a4c:600", "f=ba3c:600"}},
	{"with SyncFull the attributes too", sized, func(s *script) {
		f := s.base("f", "aaaa")
		s.chmod(f, 0o600)
		s.writeSync(f, 0, "c", trace.SyncFull)
	}, []string{"f=ca3:600"}},
	{"msync commits its range", torn, func(s *script) {
		f := s.base("f", "aaaaaaaa")
		s.write(f, 0, "bbbbbbbb")
		s.do(trace.Op{Kind: trace.Msync, Ino: f, Off: 3, Len: 1, Sync: trace.SyncData})
	}, []string{"f=b4a4", "f=b8"}},
	{"msync without waiting and sync_file_range commit nothing", torn, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.do(trace.Op{Kind: trace.Msync, Ino: f, Len: 1})
		s.do(trace.Op{Kind: trace.SyncRange, Ino: f, Len: 1})
	}, []string{"f=a", "f=b"}},
	{"syncfs commits everything", sized, func(s *script) {
		f := s.create(root, "f")
		s.write(f, 0, "b")
		s.chmod(f, 0o600)
		s.rename(f, root, "f", root, "g", 0)
		s.syncfs()
	}, []string{"g=b:600"}},
	{"a failed sync commits nothing", torn, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.failedFsync(f, syscall.EIO)
	}, []string{"f=a", "f=b"}},
	{"a later one makes up for it", torn, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.failedFsync(f, syscall.EIO)
		s.fsync(f)
	}, []string{"f=b"}},
	{"not if the kernel drops what it could not write", dropped, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.chmod(f, 0o600)
		s.failedFsync(f, syscall.EIO)
		s.fsync(f)
		s.syncfs()
	}, []string{"f=a:600", "f=b:600"}},
	{"unless it is written again", dropped, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.failedFsync(f, syscall.EIO)
		s.write(f, 0, "b")
		s.fsync(f)
	}, []string{"f=b"}},
	{"an interrupted sync drops nothing", dropped, func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.failedFsync(f, syscall.EINTR)
		s.fsync(f)
	}, []string{"f=b"}},
	{"a lying medium commits nothing", torn.LyingFlush(), func(s *script) {
		f := s.base("f", "a")
		s.write(f, 0, "b")
		s.fsync(f)
		s.write(f, 0, "c")
		s.syncfs()
	}, []string{"f=a", "f=b", "f=c"}},
	{"an operation that failed did nothing", torn, func(s *script) {
		f := s.base("f", "a")
		s.Ops[s.write(f, 0, "b")].Err = syscall.EIO
	}, []string{"f=a"}},
}

func TestSync(t *testing.T) {
	for _, tt := range syncRules {
		tt.run(t)
	}
}
