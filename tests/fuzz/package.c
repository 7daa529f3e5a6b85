/* libFuzzer's way into packages of split units: the input is one, and the unit
 * of the seed's id is walked. */
#include "../../symbolizer/dwarf/package.h"
#include "../../symbolizer/dwarf/tree.h"
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define PACKAGE_ID UINT64_C(0x1100000001)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *image = malloc(size + 1);
	struct package *package = NULL;
	struct dwarf_file *dwarf = NULL;
	struct elf_file file;
	struct unit *unit;

	memcpy(image, data, size);
	if (elf_file_memory("package", image, size, &file, NULL))
		package = package_of(&file);
	if (package)
		dwarf = package_find(package, PACKAGE_ID);
	while (dwarf && (unit = dwarf_file_next(dwarf)) != NULL)
		tree_of(unit);
	dwarf_file_close(dwarf);
	package_close(package);
	free(image);
	return 0;
}
