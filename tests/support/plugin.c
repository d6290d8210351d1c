/* plugin.c: a library with a place of its own for a pointer, loaded and unloaded by stress/plugins.c. */
static void *volatile slot;

__attribute__((visibility("default"))) void *volatile *plugin_slot(void);

void *volatile *plugin_slot(void)
{
	return &slot;
}
