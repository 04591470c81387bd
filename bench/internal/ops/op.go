//go:build linux

// Package ops defines the operations that are measured, each with what it is compared with. Both the command that prints the
// ratios and the benchmarks of `go test` run these definitions.
package ops

import "time"

// A Clock is started and stopped around what counts. A *testing.B is one.
type Clock interface {
	StartTimer()
	StopTimer()
}

// A Run does an operation n times. It starts and stops the clock itself, so that preparations in between don't count.
type Run func(n int, c Clock)

// A Setup makes fresh objects, and returns what runs on them and what lets go of them.
type Setup func() (run Run, done func())

// An Op is an operation of the library beside the same operation done otherwise.
type Op struct {
	ID      string // as a benchmark's name
	Name    string
	Against string
	Ours    Setup
	Base    Setup
	Bound   float64 // what the ratio of the times may be; 0 is no bound
	Allocs  float64 // how many allocations an operation of ours may make

	Root bool // only root can do it

	CPU bool // the time of all processors counts

	// Long says that one operation is long enough to be a measurement.
	Long bool
	// Slice is how long one measurement takes and Slices how many a round has, where the defaults won't do.
	Slice  time.Duration
	Slices int
}

// Table is all operations, in the order in which they are printed.
var Table = []Op{
	{ID: "AddWaitFresh", Name: "Add+Wait, fresh", Against: "raw", Ours: addWaitFresh, Base: rawWordFresh, Bound: 1.05},
	{ID: "AddWaitFresh", Name: "Add+Wait, fresh", Against: "os.File", Ours: addWaitFresh, Base: fileWord, Bound: 0.72},
	{ID: "AddWaitRegistered", Name: "Add+Wait, registered", Against: "raw", Ours: addWaitRegistered, Base: rawWordRegistered, Bound: 1.05},
	{ID: "AddWaitRegistered", Name: "Add+Wait, registered", Against: "os.File", Ours: addWaitRegistered, Base: fileWord, Bound: 0.85},
	{ID: "PingPong", Name: "ping-pong", Against: "os.File", Ours: pingPong, Base: filePingPong, Bound: 1.03, Slice: time.Millisecond},
	{ID: "PingPongContext", Name: "ping-pong, cancellable", Against: "os.File", Ours: pingPongContext, Base: filePingPong, Bound: 1.05, Slice: time.Millisecond},
	{ID: "FirstWaitOnContext", Name: "ping-pong, new context", Against: "one ctx", Ours: pingPongNewContexts, Base: pingPongContext, Allocs: 6},
	{ID: "TimerArm", Name: "Timer Arm", Against: "raw", Ours: timerArm, Base: rawTimerArm, Bound: 1.08},
	// Each of these timers costs an interrupt before it is measured.
	{ID: "TimerWait", Name: "Timer Wait, 64 expired", Against: "raw", Ours: timerWait, Base: rawTimerWait, Bound: 1.10, Slices: 4},
	{ID: "PollerWait1", Name: "Poller Wait, 1 ready", Against: "raw", Ours: pollerReady(1), Base: rawEpollReady(1), Bound: 1.08},
	{ID: "PollerWait64", Name: "Poller Wait, 64 ready", Against: "raw", Ours: pollerReady(64), Base: rawEpollReady(64), Bound: 1.08},
	{ID: "PollerWaitParking", Name: "Poller Wait, parking", Against: "2 cores", Ours: pollerParking, Base: threadsParking, Bound: 0.5, Slice: time.Millisecond},
	{ID: "PollerWaitParking", Name: "Poller Wait, parking", Against: "thread", Ours: pollerParking, Base: threadParking, Bound: 1, Slice: time.Millisecond},
	// The collector runs too, but once in more than 100,000 of these (GODEBUG=gctrace=1 shows it): a thousandth of the time.
	{ID: "NewClose", Name: "Counter New+Close", Against: "raw", Ours: newClose, Base: rawNewClose, Bound: 1.15, Allocs: 1},

	{ID: "PipeFresh1", Name: "pipe 1 B, fresh", Against: "raw", Ours: pipeFresh(1), Base: rawPipeFresh(1), Bound: 1.08},
	{ID: "PipeFresh1", Name: "pipe 1 B, fresh", Against: "os.Pipe", Ours: pipeFresh(1), Base: filePipe(1), Bound: 0.88},
	{ID: "PipeRegistered1", Name: "pipe 1 B, registered", Against: "raw", Ours: pipeRegistered(1), Base: rawPipeRegistered(1), Bound: 1.08},
	{ID: "PipeRegistered1", Name: "pipe 1 B, registered", Against: "os.Pipe", Ours: pipeRegistered(1), Base: filePipe(1), Bound: 0.95},
	{ID: "PipeFresh64K", Name: "pipe 64 KiB, fresh", Against: "raw", Ours: pipeFresh(64 << 10), Base: rawPipeFresh(64 << 10), Bound: 1.08},
	{ID: "PipeFresh64K", Name: "pipe 64 KiB, fresh", Against: "os.Pipe", Ours: pipeFresh(64 << 10), Base: filePipe(64 << 10), Bound: 1},

	{ID: "Events1", Name: "Watcher, 1 queued", Against: "raw", Ours: eventsQueued(1), Base: rawEventsQueued(1), Bound: 1.15, Slices: 4},
	{ID: "Events16", Name: "Watcher, 16 queued", Against: "raw", Ours: eventsQueued(16), Base: rawEventsQueued(16), Bound: 1.15, Slices: 4},
	{ID: "Events512", Name: "Watcher, 512 queued", Against: "raw", Ours: eventsQueued(512), Base: rawEventsQueued(512), Bound: 1.15, Slices: 4},
	{ID: "Drain", Name: "10,000 Events, CPU", Against: "fsnotify", Ours: drainOurs, Base: drainFsnotify, Bound: 0.5, CPU: true, Long: true, Slices: 4, Allocs: 2 * drained},
	{ID: "TreeAdd", Name: "Tree Add, 20,000", Against: "fsnotify", Ours: planting(plantTree), Base: planting(plantFsnotify), Bound: 0.9, Long: true, Slices: 2, Allocs: 200_000},
	{ID: "TreeAdd", Name: "Tree Add, 20,000", Against: "raw walk", Ours: planting(plantTree), Base: planting(plantRaw), Bound: 1.3, Long: true, Slices: 2, Allocs: 200_000},

	{ID: "Names16", Name: "Group, 16 names queued", Against: "raw", Ours: groupQueued(16), Base: rawGroupQueued(16), Bound: 1.2, Slices: 4, Root: true},
	{ID: "Names512", Name: "Group, 512 names queued", Against: "raw", Ours: groupQueued(512), Base: rawGroupQueued(512), Bound: 1.2, Slices: 4, Root: true},
	{ID: "Permission", Name: "open, answered at once", Against: "C", Ours: asking(ourListener, anywhere), Base: asking(listenerInC, anywhere), Bound: 1.15, Slice: stream, Slices: 5, Root: true},
	{ID: "Permission2", Name: "the same, on 2 cores", Against: "C", Ours: asking(ourListener, twoCores), Base: asking(listenerInC, twoCores), Bound: 1.15, Slice: stream, Slices: 5, Root: true},
	{ID: "Permission1", Name: "the same, on one core", Against: "C", Ours: asking(ourListener, oneCore), Base: asking(listenerInC, oneCore), Slice: stream, Slices: 5, Root: true},

	{ID: "Signals64", Name: "Receiver, 64 queued", Against: "raw", Ours: signalsQueued, Base: rawSignalsQueued, Bound: 1.15, Slices: 4},
	{ID: "Kill", Name: "kill, then ReadBatch", Against: "signal", Ours: killed(ourInbox), Base: killed(channelInbox), Bound: 0.8, Slice: time.Millisecond},
	{ID: "KillThread", Name: "tgkill, TryReadBatch", Against: "signal", Ours: threadKilled(true), Base: threadKilled(false), Bound: 0.8, Slice: time.Millisecond},
	{ID: "KillAsleep", Name: "kill, reader asleep", Against: "signal", Ours: killedAsleep(ourInbox, 0), Base: killedAsleep(channelInbox, 0), Bound: 0.8, Slice: time.Millisecond},
	{ID: "KillProcess", Name: "kill by a process", Against: "signal", Ours: killedByProcess(ourInbox), Base: killedByProcess(channelInbox), Bound: 0.8, Slice: stream, Slices: 5},
	{ID: "KillIdle", Name: "kill after 1 ms idle", Against: "signal", Ours: killedAsleep(ourInbox, time.Millisecond), Base: killedAsleep(channelInbox, time.Millisecond), Slice: time.Millisecond, Slices: 3},
	{ID: "ProcessWait", Name: "1,000 children end", Against: "os.Process", Ours: waitedFor(ourWait), Base: waitedFor(osWait), Bound: 1, Long: true, Slices: 1, Allocs: 10 * family},

	{ID: "QueueFresh", Name: "Queue Send+Receive, fresh", Against: "raw", Ours: queueFresh, Base: rawQueueFresh, Bound: 1.10},
	{ID: "QueueRegistered", Name: "the same, registered", Against: "raw", Ours: queueRegistered, Base: rawQueueRegistered, Bound: 1.10},
	{ID: "QueuePingPong", Name: "Queue ping-pong", Against: "C", Ours: queuePingPong(ourPlayer, anywhere), Base: queuePingPong(playerInC, anywhere), Bound: 1.3, Slice: stream, Slices: 5},
	{ID: "QueuePingPong", Name: "Queue ping-pong", Against: "C epoll", Ours: queuePingPong(ourPlayer, anywhere), Base: queuePingPong(epollerInC, anywhere), Slice: stream, Slices: 5},
	{ID: "QueuePingPong2", Name: "the same, on 2 cores", Against: "C", Ours: queuePingPong(ourPlayer, twoCores), Base: queuePingPong(playerInC, twoCores), Bound: 1.3, Slice: stream, Slices: 5},
	{ID: "QueuePingPong2", Name: "the same, on 2 cores", Against: "C epoll", Ours: queuePingPong(ourPlayer, twoCores), Base: queuePingPong(epollerInC, twoCores), Slice: stream, Slices: 5},
	{ID: "QueuePingPong1", Name: "the same, on one core", Against: "C", Ours: queuePingPong(ourPlayer, oneCore), Base: queuePingPong(playerInC, oneCore), Slice: stream, Slices: 5},
	{ID: "QueuePingPong1", Name: "the same, on one core", Against: "C epoll", Ours: queuePingPong(ourPlayer, oneCore), Base: queuePingPong(epollerInC, oneCore), Slice: stream, Slices: 5},

	{ID: "CopyPipePipe", Name: "Copy pipe to pipe", Against: "io.Copy", Ours: between(pipeLine, pipeLine, ourCopy), Base: between(pipeLine, pipeLine, ioCopy), Bound: 0.77, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyTCPTCP", Name: "Copy TCP to TCP", Against: "io.Copy", Ours: between(tcpLine, tcpLine, ourCopy), Base: between(tcpLine, tcpLine, ioCopy), Bound: 1, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyTCPTCP", Name: "Copy TCP to TCP", Against: "C", Ours: between(tcpLine, tcpLine, ourCopy), Base: between(tcpLine, tcpLine, inC("splice")), Bound: 1.03, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyTCPUnix", Name: "Copy TCP to Unix", Against: "io.Copy", Ours: between(tcpLine, unixLine, ourCopy), Base: between(tcpLine, unixLine, ioCopy), Bound: 1, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyTCPUnix", Name: "Copy TCP to Unix", Against: "C", Ours: between(tcpLine, unixLine, ourCopy), Base: between(tcpLine, unixLine, inC("splice")), Bound: 1.03, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyFileTCP", Name: "Copy file to TCP", Against: "io.Copy", Ours: fromFile(tcpLine, ourCopy), Base: fromFile(tcpLine, ioCopy), Bound: 1, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyFileTCP", Name: "Copy file to TCP", Against: "C", Ours: fromFile(tcpLine, ourCopy), Base: fromFile(tcpLine, inC("sendfile")), Bound: 1.03, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyFileFile", Name: "Copy file to file", Against: "io.Copy", Ours: fileToFile(ourCopy), Base: fileToFile(ioCopy), Bound: 1, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "CopyFileFile", Name: "Copy file to file", Against: "C", Ours: fileToFile(ourCopy), Base: fileToFile(inC("copy_file_range")), Bound: 1.03, Slice: stream, Slices: 3, Allocs: 1},
	{ID: "Relay", Name: "Relay, 1,000 idle", Against: "io.Copy", Ours: busyAmongIdle(ourRelay, idleOurs), Base: busyAmongIdle(ioRelay, idleIO), Bound: 1, Slice: stream, Slices: 3, Allocs: 1},
}

// stream is long enough for a move, or two processes, to get into their stride.
const stream = 50 * time.Millisecond
