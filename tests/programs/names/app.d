/* D without its runtime: structs, templates, nested functions. */
module app;

struct Box(T)
{
    T value;
    T add(T by) { return value += by; }
}

int fold(alias f)(int from, int to)
{
    int sum = 0;
    foreach (n; from .. to)
        sum = f(sum, n);
    return sum;
}

int nested(int n)
{
    int by = n;
    int twice(int m) { return 2 * m + by; }
    return twice(n) + fold!((a, b) => a * 3 + b)(0, n);
}

extern (C) int main(int argc, char** argv)
{
    auto box = Box!int(argc);
    auto wide = Box!long(argc);
    return box.add(nested(argc)) + cast(int) wide.add(7);
}
