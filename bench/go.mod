module github.com/driftlesskv/driftless/bench

go 1.25.0

require (
	github.com/driftlesskv/driftless v0.0.0
	github.com/stretchr/testify v1.12.1
	go.etcd.io/bbolt v1.5.0
)

require (
	github.com/google/renameio/v2 v2.0.2 // indirect
	github.com/tidwall/btree v1.8.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/driftlesskv/driftless => ../
