package explore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/driftlesskv/driftless/faultfs/internal/trace"
	"github.com/driftlesskv/driftless/faultfs/internal/tree"
	"github.com/driftlesskv/driftless/faultfs/model"
)

var (
	across = model.Model{Name: "across", Tear: 4, Rename: model.AcrossInHalves}
	halves = model.Model{Name: "halves", Tear: 4, Rename: model.Halves}
)

var nameRules = []ruleTest{
	{"each is lost alone", torn, func(s *script) {
		s.create(root, "a")
		s.mkdir(root, "b")
		s.do(trace.Op{Kind: trace.Symlink, Dir: root, Name: "c", Ino: 90, Mode: 0o777, Data: []byte("a")})
	}, []string{"", "a=", "b/", "c->a:777", "a= b/", "a= c->a:777", "b/ c->a:777", "a= b/ c->a:777"}},
	{"fsync of the file does not keep its name", torn, func(s *script) {
		s.fsync(s.create(root, "a"))
	}, []string{"", "a="}},
	{"fsync of the directory does", torn, func(s *script) {
		s.write(s.create(root, "a"), 0, "x")
		s.fsync(root)
	}, []string{"a=", "a=x"}},
	{"and not what is below", torn, func(s *script) {
		d := s.mkdir(root, "d")
		s.create(d, "a")
		s.fsync(root)
	}, []string{"d/", "d/ d/a="}},
	{"what is in a lost directory is lost", torn, func(s *script) {
		d := s.mkdir(root, "d")
		s.create(d, "a")
		s.fsync(d)
	}, []string{"", "d/ d/a="}},
	{"changes of one name are in order", torn, func(s *script) {
		f := s.base("f", "x")
		s.unlink(f, root, "f")
		s.mkdir(root, "f")
	}, []string{"f=x", "", "f/"}},
	{"a renamed file was created", torn, func(s *script) {
		s.rename(s.create(root, "a"), root, "a", root, "b", 0)
	}, []string{"", "a=", "b="}},
	{"rename replaces at once", torn, func(s *script) {
		f := s.base("f", "old")
		s.rename(s.base("tmp", "new"), root, "tmp", root, "f", f)
	}, []string{"f=old tmp=new", "f=new"}},
	{"exchange swaps at once", across, func(s *script) {
		f, g, d := s.base("f", "1"), s.base("g", "2"), s.baseDir("d")
		s.rename(g, root, "g", d, "h", 0)
		s.fsync(root)
		i := s.rename(f, root, "f", d, "h", g)
		s.Ops[i].Exchange = true
	}, []string{"d/ d/h=2 f=1", "d/ d/h=1 f=2"}},
	{"rename between links of one inode does nothing", torn, func(s *script) {
		f := s.base("f", "x")
		s.link(f, root, "g")
		s.fsync(root)
		s.rename(f, root, "f", root, "g", f)
	}, []string{"f=x g=link 1"}},
	{"hard links share contents", torn, func(s *script) {
		f := s.base("f", "x")
		s.link(f, root, "g")
		s.write(f, 0, "y")
	}, []string{"f=x", "f=y", "f=x g=link 1", "f=y g=link 1"}},
	{"a link without the first name", torn, func(s *script) {
		f := s.create(root, "f")
		s.link(f, root, "g")
	}, []string{"", "f=", "g=", "f= g=link 1"}},
	{"a file unlinked while open", torn, func(s *script) {
		f := s.base("f", "x")
		s.unlink(f, root, "f")
		s.write(f, 0, "y")
	}, []string{"f=x", "f=y", ""}},
	{"a file without a name gets one", torn, func(s *script) {
		f := s.make(trace.Tmpfile, 0, "", 0o644)
		s.write(f, 0, "y")
		s.fsync(f)
		s.link(f, root, "f")
	}, []string{"", "f=y"}},
	{"a renamed directory takes along what is in it", torn, func(s *script) {
		d := s.baseDir("d")
		s.rename(d, root, "d", root, "e", 0)
		s.create(d, "f")
		s.fsync(d)
	}, []string{"d/ d/f=", "e/ e/f="}},
	{"a removed directory", torn, func(s *script) {
		d := s.baseDir("d")
		f := s.create(d, "f")
		s.fsync(d)
		s.unlink(f, d, "f")
		s.do(trace.Op{Kind: trace.Rmdir, Dir: root, Name: "d", Ino: d})
	}, []string{"d/ d/f=", "d/", ""}},
}

func TestNames(t *testing.T) {
	for _, tt := range nameRules {
		tt.run(t)
	}
}

// A log of one file or directory alone holds half of a rename between directories.
func TestRenameThatIsLogged(t *testing.T) {
	move := func(s *script) (f, d tree.Ino) {
		d = s.baseDir("d")
		f = s.base("f", "x")
		s.rename(f, root, "f", d, "g", 0)
		return f, d
	}
	for _, tt := range []ruleTest{
		{"without a sync it is at once", logged, func(s *script) { move(s) }, []string{"d/ f=x", "d/ d/g=x"}},
		{"fsync of the new directory leaves the old name", logged, func(s *script) {
			_, d := move(s)
			s.fsync(d)
		}, []string{"d/ d/g=x f=link 2", "d/ d/g=x"}},
		{"without a journal as well", ownNames, func(s *script) {
			_, d := move(s)
			s.fsync(d)
		}, []string{"d/ d/g=x f=link 2", "d/ d/g=x"}},
		{"of the old directory does not", logged, func(s *script) {
			move(s)
			s.fsync(root)
		}, []string{"d/ d/g=x"}},
		{"nor of the file", logged, func(s *script) {
			f, _ := move(s)
			s.fsync(f)
		}, []string{"d/ d/g=x"}},
		{"of both directories", logged, func(s *script) {
			_, d := move(s)
			s.fsync(d)
			s.fsync(root)
		}, []string{"d/ d/g=x"}},
		{"the old name outlives the new one", logged, func(s *script) {
			f, d := move(s)
			s.fsync(d)
			s.unlink(f, d, "g")
			s.fsync(d)
		}, []string{"d/ f=x", "d/"}},
		{"and comes first in the journal", logged, func(s *script) {
			_, d := move(s)
			s.create(root, "h")
			s.fsync(d)
		}, []string{"d/ d/g=x f=link 2", "d/ d/g=x", "d/ d/g=x h="}},
		{"what replaced it takes it along", logged, func(s *script) {
			_, d := move(s)
			s.fsync(d)
			s.fsync(s.create(root, "f"))
		}, []string{"d/ d/g=x f="}},
		{"over another file", logged, func(s *script) {
			d := s.baseDir("d")
			over := s.base("over", "y")
			s.rename(over, root, "over", d, "g", 0)
			s.fsync(over)
			s.rename(s.base("f", "x"), root, "f", d, "g", over)
			s.fsync(d)
		}, []string{"d/ d/g=x f=link 2", "d/ d/g=x"}},
		{"moved on from there", logged, func(s *script) {
			f, d := move(s)
			e := s.baseDir("e")
			s.rename(f, d, "g", e, "h", 0)
			s.fsync(e)
		}, []string{"d/ e/ e/h=x f=link 3", "d/ d/g=x e/ e/h=link 2", "d/ e/ e/h=x"}},
		{"a directory is moved whole", logged, func(s *script) {
			d, e := s.baseDir("d"), s.baseDir("e")
			s.rename(d, root, "d", e, "d", 0)
			s.fsync(e)
		}, []string{"e/ e/d/"}},
	} {
		tt.run(t)
	}
}

// What a sync left of a rename is looked at before the next begin.
func TestRenameThatIsLoggedMakesAPoint(t *testing.T) {
	s := newScript()
	d := s.baseDir("d")
	s.rename(s.base("f", "x"), root, "f", d, "g", 0)
	s.fsync(d)
	s.mark(false, "more")
	x := explorer(t, s, logged)
	require.Len(t, x.Points(), 3)
	require.Zero(t, x.Points()[1].Marks)
	require.Equal(t, []string{"d/ d/g=x", "d/ d/g=x f=link 2"}, at(t, x, 1))
}

func TestRenameInHalves(t *testing.T) {
	move := func(s *script) (tree.Ino, tree.Ino) {
		d := s.baseDir("d")
		f := s.base("f", "x")
		s.rename(f, root, "f", d, "g", 0)
		return f, d
	}
	replace := func(s *script) (tree.Ino, tree.Ino) {
		f, tmp := s.base("f", "old"), s.base("tmp", "new")
		s.rename(tmp, root, "tmp", root, "f", f)
		return f, tmp
	}
	for _, tt := range []ruleTest{
		{"between directories the new name can be there with the old one", across, func(s *script) {
			move(s)
		}, []string{"d/ f=x", "d/ d/g=x f=link 2", "d/ d/g=x"}},
		{"fsync of the new directory keeps the new one", across, func(s *script) {
			_, d := move(s)
			s.fsync(d)
		}, []string{"d/ d/g=x f=link 2", "d/ d/g=x"}},
		{"fsync of the old directory keeps both", across, func(s *script) {
			move(s)
			s.fsync(root)
		}, []string{"d/ d/g=x"}},
		{"within a directory it is at once", across, func(s *script) {
			replace(s)
		}, []string{"f=old tmp=new", "f=new"}},
		{"a directory is in one place", across, func(s *script) {
			d, e := s.baseDir("d"), s.baseDir("e")
			s.rename(d, root, "d", e, "d", 0)
			s.create(d, "f")
			s.fsync(d)
		}, []string{"d/ d/f= e/", "e/ e/d/ e/d/f="}},
		{"FAT loses both names", halves, func(s *script) {
			replace(s)
		}, []string{"f=old tmp=new", "f=old", "f= tmp=new", "f=", "f=new tmp=link 1", "f=new"}},
		{"after fsync of the directory the new name is empty", halves, func(s *script) {
			replace(s)
			s.fsync(root)
		}, []string{"f=", "f=new"}},
		{"until fsync of the file", halves, func(s *script) {
			_, tmp := replace(s)
			s.fsync(root)
			s.fsync(tmp)
		}, []string{"f=new"}},
		{"fsync of the file before the rename does not help", halves, func(s *script) {
			f, tmp := s.base("f", "old"), s.base("tmp", "new")
			s.write(tmp, 0, "NEW")
			s.fsync(tmp)
			s.rename(tmp, root, "tmp", root, "f", f)
			s.fsync(root)
		}, []string{"f=", "f=NEW"}},
		{"what is empty is what was replaced", halves, func(s *script) {
			_, tmp := replace(s)
			s.Base.Chmod(tmp, 0o600)
			s.fsync(root)
		}, []string{"f=", "f=new:600"}},
		{"to a name that was not there", halves, func(s *script) {
			f := s.base("f", "x")
			s.rename(f, root, "f", root, "g", 0)
		}, []string{"f=x", "", "f=x g=", "g=", "f=x g=link 1", "g=x"}},
		{"exchange is two changes", halves, func(s *script) {
			f, g := s.base("f", "1"), s.base("g", "2")
			s.Ops[s.rename(f, root, "f", root, "g", g)].Exchange = true
		}, []string{"f=1 g=2", "f=1 g=link 1", "f=2 g=link 1", "f=2 g=1"}},
	} {
		tt.run(t)
	}
}
