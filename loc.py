import gdb
gdb.execute("set pagination off"); gdb.execute("set width 0")
f=gdb.newest_frame()
while f and f.name()!="f": f=f.older()
b=f.block()
while not b.function: b=b.superblock
for s in b:
    try: print(s.name,'|',s.type,'|',s.value(f).format_string(raw=True,deref_refs=True))
    except Exception as e: print(s.name,'ERR',e)
