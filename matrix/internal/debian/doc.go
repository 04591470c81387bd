// Package debian has Debian's kernels at hand: it fetches their packages, never installs them, and keeps them unpacked in a cache.
//
// Apt does the fetching, with lists of its own in the cache and the machine's settings otherwise (proxies, for example). So signatures are
// verified as ever, any suite and architecture can be had, and the system's own lists stay as they are.
package debian
