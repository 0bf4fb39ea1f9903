# SPDX-License-Identifier: Apache-2.0
"""`./atoll bench`: instructions that a guest executes for each operation of a program, on Atoll in
both rings and on a Linux guest, under the same QEMU in one run. Times are shown, but judge by
instructions: they repeat, times of an emulator on a busy machine do not."""
