package store

import (
	"context"
	"sync"
)

// keyLocks is a set of locks, one for each key in use. The zero value is ready.
type keyLocks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*keyLock
}

type keyLock struct {
	token    chan struct{} // capacity 1: full while the lock is held
	users    int           // holder and waiters; guarded by keyLocks.mu
	settling chan struct{} // closed once the holder is not an operation but the settling of one
}

// lock waits for the lock of key and returns its release, to be called once. It
// returns ErrPending at once when the holder is settling, and ctx's error.
func (l *keyLocks[K]) lock(ctx context.Context, key K) (unlock func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err // select would take a free lock, or not, at random
	}
	l.mu.Lock()
	k := l.held[key]
	if k == nil {
		k = l.add(key)
	}
	k.users++
	settling := k.settling
	l.mu.Unlock()
	select {
	case <-settling:
		l.leave(key, k, false)
		return nil, ErrPending
	default:
	}
	select {
	case k.token <- struct{}{}:
		return func() { l.leave(key, k, true) }, nil
	case <-settling:
		err = ErrPending
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.leave(key, k, false)
	return nil, err
}

// tryLock is lock that does not wait.
func (l *keyLocks[K]) tryLock(key K) (unlock func(), ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held[key] != nil {
		return nil, false
	}
	k := l.add(key)
	k.users++
	k.token <- struct{}{}
	return func() { l.leave(key, k, true) }, true
}

func (l *keyLocks[K]) leave(key K, k *keyLock, holder bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if holder {
		select {
		case <-k.settling:
			k.settling = make(chan struct{})
		default:
		}
		<-k.token
	}
	if k.users--; k.users == 0 {
		delete(l.held, key)
	}
}

// settle marks a held lock: whoever waits for it, and whoever comes, gets ErrPending.
func (l *keyLocks[K]) settle(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if k := l.held[key]; k != nil {
		close(k.settling)
	}
}

// add makes the lock of a key. The caller holds l.mu.
func (l *keyLocks[K]) add(key K) *keyLock {
	if l.held == nil {
		l.held = map[K]*keyLock{}
	}
	k := &keyLock{token: make(chan struct{}, 1), settling: make(chan struct{})}
	l.held[key] = k
	return k
}
