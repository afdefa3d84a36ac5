# Where the ROM, or a second-stage bootloader, jumps to: a stack of our own, zeroes where C expects them.
  .section .entry, "ax"
  .global _start
_start:
  la sp, stack_top
  la t0, bss_start
  la t1, bss_end
1:
  bgeu t0, t1, 2f
  sw zero, 0(t0)
  addi t0, t0, 4
  j 1b
2:
  call hello
3:
  j 3b
