// Package fdtest is what the tests of every kind share: the conformance suite ([Conform]), the check that a package leaves no
// descriptor and no goroutine behind ([Main]), and skips that say what the machine lacks and can be turned into failures
// ([NeedCap], [Need]).
package fdtest
