package explore_test

import (
	"testing"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

var (
	journal  = model.Model{Name: "journal", Tear: 4, SizeAlone: true, Order: model.Journal, Fsync: model.Earlier}
	follows  = model.Model{Name: "follows", Tear: 4, Order: model.Journal, Fsync: model.Earlier}
	named    = model.Model{Name: "named", Tear: 4, Order: model.Journal, Fsync: model.Earlier, FdatasyncNames: true}
	logged   = model.Model{Name: "logged", Tear: 4, Order: model.Journal, Fsync: model.OwnNames}
	ownNames = model.Model{Name: "own-names", Tear: 4, Fsync: model.OwnNames}
)

var journalRules = []ruleTest{
	{"names are a prefix", journal, func(s *script) {
		s.create(root, "a")
		s.mkdir(root, "b")
		s.create(root, "c")
	}, []string{"", "a=", "a= b/", "a= b/ c="}},
	{"but not on a medium that lies", journal.LyingFlush(), func(s *script) {
		s.create(root, "a")
		s.mkdir(root, "b")
		s.fsync(root)
	}, []string{"", "a=", "b/", "a= b/"}},
	{"attributes and truncates are in it", journal, func(s *script) {
		f := s.base("f", "xx")
		s.chmod(f, 0o600)
		s.truncate(f, 1)
		s.do(trace.Op{Kind: trace.Setxattr, Ino: f, Attr: "user.a", Data: []byte("1")})
		s.do(trace.Op{Kind: trace.Removexattr, Ino: f, Attr: "user.a"})
		s.do(trace.Op{Kind: trace.Chown, Ino: f, UID: 7})
		s.truncate(f, 2)
	}, []string{"f=x2", "f=x2:600", "f=x:600", "f=x:600:user.a 1", "f=x:600:uid 7", "f=x0:600:uid 7"}},
	{"data is not", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.write(f, 0, "y")
	}, []string{"f=x", "f=y", "a= f=x", "a= f=y"}},
	{"a growth follows the journal", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.write(f, 1, "y")
	}, []string{"f=x", "a= f=x", "a= f=x0", "a= f=xy"}},
	{"so does data that makes the file longer", follows, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.write(f, 1, "y")
	}, []string{"f=x", "a= f=x", "a= f=xy"}},
	{"and not the part of it that is in place", follows, func(s *script) {
		f := s.base("f", "aaaa")
		s.create(root, "x")
		s.write(f, 0, "bbbbbb")
	}, []string{"f=a4", "f=b4", "f=a4 x=", "f=b4 x=", "f=a4b2 x=", "f=b6 x="}},
	{"which does not wait for a growth", journal, func(s *script) {
		f := s.base("f", "x")
		s.write(f, 1, "y")
		s.create(root, "a")
	}, []string{"f=x", "f=x0", "f=xy", "a= f=x", "a= f=x0", "a= f=xy"}},
	{"rename without fsync can leave zeros", journal, func(s *script) {
		f := s.base("f", "old")
		tmp := s.create(root, "tmp")
		s.write(tmp, 0, "new")
		s.rename(tmp, root, "tmp", root, "f", f)
		s.fsync(root)
	}, []string{"f=", "f=03", "f=new"}},
	{"fsync commits what came before the last change of the file", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.chmod(f, 0o600)
		s.create(root, "b")
		s.fsync(f)
	}, []string{"a= f=x:600", "a= b= f=x:600"}},
	{"fdatasync does not look at attributes", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.chmod(f, 0o600)
		s.fdatasync(f)
	}, []string{"f=x", "a= f=x", "a= f=x:600"}},
	{"but at a growth", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.write(f, 1, "y")
		s.fdatasync(f)
	}, []string{"a= f=xy"}},
	{"or at data that makes the file longer", follows, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.write(f, 1, "y")
		s.fdatasync(f)
	}, []string{"a= f=xy"}},
	{"and not at a rename", journal, func(s *script) {
		f := s.base("f", "x")
		s.rename(f, root, "f", root, "g", 0)
		s.write(f, 0, "y")
		s.fdatasync(f)
	}, []string{"f=y", "g=y"}},
	{"nor does a synchronous write in place", journal, func(s *script) {
		f := s.base("f", "x")
		s.rename(f, root, "f", root, "g", 0)
		s.writeSync(f, 0, "y", trace.SyncData)
	}, []string{"f=y", "g=y"}},
	{"nor at a link or an unlink", journal, func(s *script) {
		f := s.base("f", "x")
		s.link(f, root, "g")
		s.fdatasync(f)
		s.unlink(f, root, "f")
		s.fdatasync(f)
	}, []string{"f=x", "f=x g=link 1", "g=x"}},
	{"unless the model has it look there", named, func(s *script) {
		f := s.base("f", "x")
		s.rename(f, root, "f", root, "g", 0)
		s.fdatasync(f)
	}, []string{"g=x"}},
	{"as fsync does", journal, func(s *script) {
		f := s.base("f", "x")
		s.rename(f, root, "f", root, "g", 0)
		s.fsync(f)
	}, []string{"g=x"}},
	{"a later growth takes the rename along", journal, func(s *script) {
		f := s.base("f", "x")
		s.rename(f, root, "f", root, "g", 0)
		s.write(f, 1, "y")
		s.fdatasync(f)
	}, []string{"g=xy"}},
	{"an earlier one does not", journal, func(s *script) {
		f := s.base("f", "x")
		s.write(f, 1, "y")
		s.rename(f, root, "f", root, "g", 0)
		s.fdatasync(f)
	}, []string{"f=xy", "g=xy"}},
	{"the creation counts, what came after it does not", journal, func(s *script) {
		f := s.create(root, "f")
		s.rename(f, root, "f", root, "g", 0)
		s.fdatasync(f)
	}, []string{"f=", "g="}},
	{"the first name of a file that was made without one does not", journal, func(s *script) {
		f := s.make(trace.Tmpfile, 0, "", 0o644)
		s.link(f, root, "f")
		s.fdatasync(f)
	}, []string{"", "f="}},
	{"of a directory, fdatasync is fsync", journal, func(s *script) {
		s.create(root, "a")
		s.rename(s.base("f", "x"), root, "f", root, "g", 0)
		s.fdatasync(root)
	}, []string{"a= g=x"}},
	{"or at what a synchronous write itself adds", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.writeSync(f, 1, "y", trace.SyncData)
	}, []string{"a= f=xy"}},
	{"not at a change that had not ended", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		late := s.chmod(f, 0o600)
		s.fsync(f)
		s.late(late)
	}, []string{"f=x", "a= f=x", "a= f=x:600"}},
	{"neither looks at data in place", journal, func(s *script) {
		f := s.base("f", "x")
		s.create(root, "a")
		s.write(f, 0, "y")
		s.fsync(f)
	}, []string{"f=y", "a= f=y"}},
	{"fsync of a new file keeps its name, and the directories above", journal, func(s *script) {
		d := s.mkdir(root, "d")
		s.fsync(s.create(d, "f"))
	}, []string{"d/ d/f="}},
	{"a rename changes both directories", journal, func(s *script) {
		d := s.baseDir("d")
		f := s.base("f", "x")
		s.rename(f, root, "f", d, "g", 0)
		s.fsync(d)
	}, []string{"d/ d/g=x"}},
	{"fsync of a directory commits what came before its last change", journal, func(s *script) {
		d := s.baseDir("d")
		s.create(root, "a")
		s.create(d, "x")
		s.create(root, "b")
		s.fsync(d)
	}, []string{"a= d/ d/x=", "a= b= d/ d/x="}},
	{"an unlink changes the inode", journal, func(s *script) {
		f := s.base("f", "x")
		s.unlink(f, root, "f")
		s.fsync(f)
	}, []string{""}},
	{"another file's data stays behind", journal, func(s *script) {
		f, g := s.base("f", "x"), s.base("g", "")
		s.write(g, 0, "y")
		s.chmod(f, 0o600)
		s.fsync(f)
	}, []string{"f=x:600 g=", "f=x:600 g=0", "f=x:600 g=y"}},
	{"a synchronous write commits like fdatasync", journal, func(s *script) {
		f := s.create(root, "f")
		s.writeSync(f, 0, "x", trace.SyncData)
	}, []string{"f=x"}},
}

func TestJournal(t *testing.T) {
	for _, tt := range journalRules {
		tt.run(t)
	}
}

func TestOwnNames(t *testing.T) {
	for _, tt := range []ruleTest{
		{"fsync keeps the name of the file", ownNames, func(s *script) {
			s.create(root, "other")
			s.fsync(s.create(root, "f"))
		}, []string{"f=", "f= other="}},
		{"and the new directories above", ownNames, func(s *script) {
			d := s.mkdir(root, "d")
			e := s.mkdir(d, "e")
			s.create(d, "other")
			s.fsync(s.create(e, "f"))
		}, []string{"d/ d/e/ d/e/f=", "d/ d/e/ d/e/f= d/other="}},
		{"not the renames of old ones", ownNames, func(s *script) {
			d := s.baseDir("d")
			s.rename(d, root, "d", root, "e", 0)
			s.fsync(s.create(d, "f"))
		}, []string{"d/ d/f=", "e/ e/f="}},
		{"a rename with its old name", ownNames, func(s *script) {
			f := s.base("f", "x")
			s.rename(f, root, "f", root, "g", 0)
			s.fsync(f)
		}, []string{"g=x"}},
		{"an exchange, of either", ownNames, func(s *script) {
			f, g := s.base("f", "1"), s.base("g", "2")
			s.Ops[s.rename(f, root, "f", root, "g", g)].Exchange = true
			s.fsync(g)
		}, []string{"f=2 g=1"}},
		{"not the directory that the file has left", ownNames, func(s *script) {
			d := s.mkdir(root, "d")
			f := s.create(d, "f")
			s.rename(f, d, "f", root, "f", 0)
			s.fsync(f)
		}, []string{"f=", "d/ f="}},
		{"a link", ownNames, func(s *script) {
			f := s.base("f", "x")
			s.link(f, root, "g")
			s.fsync(f)
		}, []string{"f=x g=link 1"}},
		{"not an unlink", ownNames, func(s *script) {
			f := s.base("f", "x")
			s.unlink(f, root, "f")
			s.fsync(f)
		}, []string{"", "f=x"}},
		{"fsync of a directory keeps what is in it", ownNames, func(s *script) {
			s.create(root, "f")
			s.fsync(root)
		}, []string{"f="}},
		{"a log of one file leaves the order of the others", logged, func(s *script) {
			s.create(root, "a")
			s.create(root, "b")
			s.fsync(s.create(root, "f"))
			s.create(root, "g")
		}, []string{"f=", "a= f=", "a= b= f=", "a= b= f= g="}},
		{"a name that ended during the sync is not covered", ownNames, func(s *script) {
			f := s.base("f", "x")
			i := s.link(f, root, "g")
			s.fsync(f)
			s.late(i)
		}, []string{"f=x", "f=x g=link 1"}},
		{"nor is the name of a directory", ownNames, func(s *script) {
			d := tree.Ino(50)
			i := s.do(trace.Op{Kind: trace.Mkdir, Dir: root, Name: "d", Ino: d, Mode: 0o755})
			s.last = d
			s.fsync(s.create(d, "f"))
			s.late(i)
		}, []string{"", "d/ d/f="}},
	} {
		tt.run(t)
	}
}

func TestDamage(t *testing.T) {
	collateral := torn.CollateralDamage(8)
	for _, tt := range []ruleTest{
		{"a write destroys one neighbour", collateral, func(s *script) {
			s.write(s.base("f", "aaaaaaaaaaaa"), 0, "b")
		}, []string{"f=a12", "f=a4#4a4", "f=ba11", "f=ba3#4a4"}},
		{"also if it changes nothing", collateral, func(s *script) {
			s.write(s.base("f", "aaaaaaaaaaaa"), 0, "a")
		}, []string{"f=a12", "f=a4#4a4"}},
		{"two writes destroy each other", collateral, func(s *script) {
			s.write(s.base("f", "aaaaaaaa"), 0, "bbbbbbbb")
		}, []string{"f=a8", "f=#4a4", "f=a4#4", "f=b4a4", "f=#4b4", "f=b4#4", "f=a4b4", "f=b8"}},
		{"durable writes destroy nothing", collateral, func(s *script) {
			f := s.base("f", "aaaaaaaa")
			s.write(f, 0, "b")
			s.fsync(f)
		}, []string{"f=ba7"}},
	} {
		tt.run(t)
	}
}
