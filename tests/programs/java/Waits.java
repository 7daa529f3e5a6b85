/* Threads that wait at the end of a recursion, interpreted or compiled, or in
 * native code, for tests/programs/stacks.py. */
import java.util.concurrent.locks.LockSupport;

public class Waits {
    static volatile boolean warm;
    static volatile int sink;

    static void down(int levels, boolean park) {
        if (levels > 0)
            down(levels - 1, park);
        else if (park)
            while (true)
                LockSupport.park();
        sink++;
    }

    static void spin() {
        while (true)
            sink++;
    }

    static void start(Runnable what) {
        Thread thread = new Thread(what);
        thread.setDaemon(true);
        thread.start();
    }

    public static void main(String[] args) throws Exception {
        start(() -> down(10, true)); /* interpreted */
        Thread.sleep(200);
        for (int i = 0; i < 30000; i++)
            down(10, false);
        Thread.sleep(1000);
        for (int i = 0; i < 4; i++)
            start(() -> down(30, true)); /* compiled */
        start(() -> spin());
        Thread.sleep(1000);
        System.out.println("ready");
        Thread.sleep(1000000);
    }
}
