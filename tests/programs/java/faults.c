#include <jni.h>
#include <stdlib.h>

JNIEXPORT void JNICALL Java_Faults_faultInC(JNIEnv *env, jclass class)
{
	(void)env;
	(void)class;
	*(volatile int *)16 = 1;
}

JNIEXPORT void JNICALL Java_Faults_abortInC(JNIEnv *env, jclass class)
{
	(void)env;
	(void)class;
	abort();
}
