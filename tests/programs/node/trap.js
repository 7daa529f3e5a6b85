// A load out of bounds of a WebAssembly memory: V8 takes the fault.
'use strict';
const bytes = Buffer.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
  1, 6, 1, 0x60, 1, 0x7f, 1, 0x7f,                 // (func (param i32) ...)
  3, 2, 1, 0,
  5, 3, 1, 0, 1,                                    // one page of memory
  7, 8, 1, 4, 0x6c, 0x6f, 0x61, 0x64, 0, 0,         // export "load"
  10, 9, 1, 7, 0, 0x20, 0, 0x28, 2, 0, 0x0b,        // i32.load
]);
const { load } = new WebAssembly.Instance(
    new WebAssembly.Module(bytes)).exports;
let trapped = 0;
for (let i = 0; i < 20000; i++) {
  if (load(16) !== 0)
    throw new Error('memory is not 0');
  try {
    load(0x10000 + i * 4096);
  } catch (error) {
    if (!(error instanceof WebAssembly.RuntimeError))
      throw error;
    trapped++;
  }
}
console.log('trapped', trapped);
if (process.argv[2] === 'then-fault')
  process.dlopen({ exports: {} }, process.argv[3]);
