/* An addon that does not survive being loaded. */
void *napi_register_module_v1(void *env, void *exports);

void *napi_register_module_v1(void *env, void *exports)
{
	(void)env;
	*(volatile int *)16 = 1;
	return exports;
}
