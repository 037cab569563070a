#!/bin/sh
# timeout: 60
# SPDX-License-Identifier: Apache-2.0
# The same program, with unix sockets through Go's netpoller.
/go/hello sockets; echo "status $?"
