/* What a Java program may do that the virtual machine serves with SIGSEGV, and
 * one thing that it cannot. */
public class Faults {
	int value;
	Faults next;

	static native void faultInC();

	static native void abortInC();

	static int read(Faults f) {
		return f.next.value;
	}

	/* Compiled code has no null checks where it takes the fault instead. */
	static void storm() throws InterruptedException {
		Thread[] threads = new Thread[8];
		for (int t = 0; t < threads.length; t++) {
			threads[t] = new Thread(() -> {
				Faults whole = new Faults();
				whole.next = whole;
				int caught = 0, sum = 0;
				for (int i = 0; i < 200000; i++)
					sum += read(whole);
				for (int i = 0; i < 20000; i++) {
					try {
						sum += read(new Faults());
					} catch (NullPointerException e) {
						caught++;
					}
				}
				if (caught != 20000 || sum != 0)
					System.exit(3);
			});
			threads[t].start();
		}
		for (Thread thread : threads)
			thread.join();
		System.out.println("all caught");
	}

	static int deep(int n) {
		return deep(n + 1) + 1;
	}

	static void overflow() throws InterruptedException {
		for (int i = 0; i < 50; i++) {
			Thread thread = new Thread(() -> {
				try {
					deep(0);
				} catch (StackOverflowError e) {
					return;
				}
				System.exit(3);
			});
			thread.start();
			thread.join();
		}
		try {
			deep(0);
		} catch (StackOverflowError e) {
			System.out.println("all caught");
		}
	}

	/* Safepoints are polled by reading a page that is then protected. */
	static void safepoints() throws InterruptedException {
		Thread spinner = new Thread(() -> {
			long sum = 0;
			for (long i = 0; !Thread.interrupted(); i++)
				sum += i ^ sum;
			System.out.println("spun " + (sum != 1));
		});
		spinner.start();
		for (int i = 0; i < 200; i++)
			System.gc();
		spinner.interrupt();
		spinner.join();
	}

	public static void main(String[] args) throws Exception {
		System.loadLibrary("faults");
		switch (args[0]) {
		case "storm" -> storm();
		case "overflow" -> overflow();
		case "safepoints" -> safepoints();
		case "native" -> faultInC();
		case "abort" -> abortInC();
		case "thread" -> {
			Thread thread = new Thread(Faults::faultInC);
			thread.start();
			thread.join();
		}
		}
	}
}
