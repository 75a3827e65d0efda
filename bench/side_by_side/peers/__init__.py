"""The column stores Throng is compared with, each in a process of its own."""
