package tree

// Size returns the size of a regular file, 0 of anything else.
func (t *Tree) Size(ino Ino) int64 {
	n := t.at(ino)
	if n == nil {
		return 0
	}
	return n.size
}

// WriteAt writes p at off; the file grows if it ends before, and reads as zeros in
// between. Beyond MaxSize it does nothing.
func (t *Tree) WriteAt(ino Ino, off int64, p []byte) {
	if off < 0 || len(p) == 0 || off > MaxSize-int64(len(p)) {
		return
	}
	n := t.change(ino, ModeRegular)
	if n == nil {
		return
	}
	n.size = max(n.size, off+int64(len(p)))
	for len(p) > 0 {
		in := off % BlockSize
		k := min(len(p), int(BlockSize-in))
		n.put(off/BlockSize, int(in), p[:k])
		p, off = p[k:], off+int64(k)
	}
}

// Resize sets the size; what is new reads as zeros. Beyond MaxSize it does nothing.
func (t *Tree) Resize(ino Ino, size int64) {
	if size < 0 || size > MaxSize {
		return
	}
	n := t.change(ino, ModeRegular)
	if n == nil {
		return
	}
	if size < n.size {
		// Bytes behind the end are zero always, so that growing is free.
		n.zero(size, n.size)
		n.cut(size)
	}
	n.size = size
}

// cut drops the chunks that lie wholly behind size.
func (n *node) cut(size int64) {
	at, _ := n.seek((size + chunkSize - 1) / chunkSize)
	clear(n.chunks[at:])
	n.chunks = n.chunks[:at]
}

// Punch makes length bytes from off read as zeros; the size stays.
func (t *Tree) Punch(ino Ino, off, length int64) {
	if off < 0 || length <= 0 {
		return
	}
	if n := t.change(ino, ModeRegular); n != nil && off < n.size {
		n.zero(off, off+min(length, n.size-off))
	}
}

// ReadAt fills p with the contents from off on and returns how many bytes there are,
// as io.ReaderAt does, without an error at the end.
func (t *Tree) ReadAt(ino Ino, off int64, p []byte) int {
	n := t.at(ino)
	if n == nil || off < 0 || off >= n.size {
		return 0
	}
	p = p[:min(int64(len(p)), n.size-off)]
	for done := 0; done < len(p); {
		at := off + int64(done)
		from := zeros[at%BlockSize:]
		if b := n.at(at / BlockSize); b != nil {
			from = b.data[at%BlockSize:]
		}
		done += copy(p[done:], from)
	}
	return len(p)
}

// NextData returns the first offset from off on that is perhaps not zero, or -1 if
// there is none before the end.
func (t *Tree) NextData(ino Ino, off int64) int64 {
	n := t.at(ino)
	if n == nil || off < 0 {
		return -1
	}
	for off < n.size {
		if n.at(off/BlockSize) != nil {
			return off
		}
		off = max(n.nextData(off/BlockSize), off/BlockSize+1) * BlockSize
	}
	return -1
}
