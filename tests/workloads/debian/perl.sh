#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# perl: files, fork, pipes, signals, sockets are not needed.
perl -e 'my $s = 0; $s += $_ for 1..1000000; print "$s\n"'
perl -e 'my %h; $h{$_ % 1000}++ for 1..100000; print scalar(keys %h), "\n"; print join(",", (sort { $a <=> $b } keys %h)[0..4]), "\n"'
perl -e 'for my $i (1..20) { my $p = fork; if (!$p) { exit $i } waitpid $p, 0; print $? >> 8, " " } print "\n"'
perl -e 'open my $f, ">", "/tmp/p" or die; print $f "line $_\n" for 1..1000; close $f; open $f, "<", "/tmp/p"; my @l = <$f>; print scalar @l, $l[-1]; unlink "/tmp/p"; print -e "/tmp/p" ? "there" : "gone", "\n"'
perl -e '$SIG{ALRM} = sub { print "alarm\n"; exit 0 }; alarm 1; sleep 10; print "no\n"'
perl -e 'print `echo from shell`; system("exit 3"); print $? >> 8, "\n"'
perl -MPOSIX -e 'print POSIX::strftime("%Y", gmtime(0)), "\n"; print getpid() == $$ ? "ok\n" : "no\n"'
