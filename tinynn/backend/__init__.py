"""Devices, array modules, the kernel table, threads, random numbers, memory."""
