# SPDX-License-Identifier: Apache-2.0
# A web server with Go's net/http, which needs no C library.
export GOCACHE=$PWD/../../../runtimes/go-cache GO111MODULE=off CGO_ENABLED=0
cp "$recipes/go_web.go" main.go
go build -trimpath -o go_web main.go
