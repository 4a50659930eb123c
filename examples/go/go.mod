module example/images

go 1.19
