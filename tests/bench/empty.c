/* A preloaded library that does nothing, linked as the shim is: what any
 * preload costs before it does anything. */
