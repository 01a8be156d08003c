# services/s3-uploader: its part of the one Makefile
