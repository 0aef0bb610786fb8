package tree

import "slices"

// Make makes a nameless inode, empty, in place of what had the number. A number
// beyond MaxIno does nothing.
func (t *Tree) Make(ino Ino, n Inode) {
	if ino > MaxIno || ino < Root {
		return
	}
	if missing := int(ino) + 1 - len(t.nodes); missing > 0 {
		t.nodes = append(t.nodes, make([]*node, missing)...)
	}
	t.nodes[ino] = &node{Inode: n, owner: t.own.Load()}
}

// Stat returns the inode, or false if there is none.
func (t *Tree) Stat(ino Ino) (Inode, bool) {
	n := t.at(ino)
	if n == nil {
		return Inode{}, false
	}
	return n.Inode, true
}

// Enter makes name in dir lead to ino, whatever it led to before.
func (t *Tree) Enter(dir Ino, name string, ino Ino) {
	n := t.change(dir, ModeDir)
	if n == nil {
		return
	}
	i, found := n.find(name)
	if found {
		n.names[i].ino = ino
		return
	}
	n.names = slices.Insert(n.names, i, entry{name, ino})
}

// Remove removes name from dir. The inode stays, without a name.
func (t *Tree) Remove(dir Ino, name string) {
	n := t.change(dir, ModeDir)
	if n == nil {
		return
	}
	if i, found := n.find(name); found {
		n.names = slices.Delete(n.names, i, i+1)
	}
}

// Lookup returns what name in dir leads to, or 0.
func (t *Tree) Lookup(dir Ino, name string) Ino {
	n := t.at(dir)
	if n == nil || !n.isDir() {
		return 0
	}
	i, found := n.find(name)
	if !found {
		return 0
	}
	return n.names[i].ino
}

// Names calls yield for each name in dir, sorted, until it returns false.
func (t *Tree) Names(dir Ino, yield func(name string, ino Ino) bool) {
	n := t.at(dir)
	if n == nil {
		return
	}
	for _, e := range n.names {
		if !yield(e.name, e.ino) {
			return
		}
	}
}

// Chmod sets the permission bits; the type stays.
func (t *Tree) Chmod(ino Ino, mode uint32) {
	if n := t.change(ino, 0); n != nil {
		n.Mode = n.Mode&ModeType | mode&modePerm
	}
}

// Chown sets the owner and the group.
func (t *Tree) Chown(ino Ino, uid, gid uint32) {
	if n := t.change(ino, 0); n != nil {
		n.UID, n.GID = uid, gid
	}
}

// SetXattr sets an extended attribute.
func (t *Tree) SetXattr(ino Ino, name string, value []byte) {
	n := t.change(ino, 0)
	if n == nil {
		return
	}
	i, found := n.findAttr(name)
	if !found {
		n.xattrs = slices.Insert(n.xattrs, i, xattr{name: name})
	}
	n.xattrs[i].value = string(value)
}

// RemoveXattr removes an extended attribute.
func (t *Tree) RemoveXattr(ino Ino, name string) {
	n := t.change(ino, 0)
	if n == nil {
		return
	}
	if i, found := n.findAttr(name); found {
		n.xattrs = slices.Delete(n.xattrs, i, i+1)
	}
}

// Xattr returns the value of an extended attribute, or false if it is not set.
func (t *Tree) Xattr(ino Ino, name string) (string, bool) {
	n := t.at(ino)
	if n == nil {
		return "", false
	}
	i, found := n.findAttr(name)
	if !found {
		return "", false
	}
	return n.xattrs[i].value, true
}
