//go:build linux

package mq

import (
	"os/user"
	"strconv"
)

// owners are the names of those that own queues, as far as they have any.
type owners struct{ users, groups map[uint32]string }

func lookUp(queues []Queue) *owners {
	o := &owners{make(map[uint32]string), make(map[uint32]string)}
	for _, q := range queues {
		if !q.File {
			continue
		}
		if _, ok := o.users[q.Status.UID]; !ok {
			o.users[q.Status.UID] = ""
			if u, err := user.LookupId(number(q.Status.UID)); err == nil {
				o.users[q.Status.UID] = u.Username
			}
		}
		if _, ok := o.groups[q.Status.GID]; !ok {
			o.groups[q.Status.GID] = ""
			if g, err := user.LookupGroupId(number(q.Status.GID)); err == nil {
				o.groups[q.Status.GID] = g.Name
			}
		}
	}
	return o
}

// named is a name or, if there is none, the number.
func named(names map[uint32]string, id uint32) string {
	if name := names[id]; name != "" {
		return escape(name)
	}
	return number(id)
}

// both is the name with the number.
func both(names map[uint32]string, id uint32) string {
	if name := names[id]; name != "" {
		return escape(name) + " (" + number(id) + ")"
	}
	return number(id)
}

func number(id uint32) string { return strconv.FormatUint(uint64(id), 10) }
