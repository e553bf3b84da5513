/* Shows a Wayland compositor's clients nothing but what a kiosk's one client needs.
 *
 * Stock cage offers every client screen capture (zwlr_screencopy, zwlr_export_dmabuf), gamma control and a
 * clipboard, and no option takes them away. libwayland-server has a filter for that: a global that it
 * refuses is neither listed nor can be bound. This library, preloaded into the unmodified compositor of
 * Debian, sets the filter as soon as the display is there. It is a list of what is allowed, so that a new
 * protocol of a new version stays hidden until somebody adds it here.
 *
 * Preloading is not what keeps the promise: a library that is missing is only warned about. kekkai-vdi looks
 * at what is offered before it shows anything, and as a kiosk refuses a compositor with a capture protocol.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wayland-server-core.h>

/* By whole names. Input method editors would add zwp_text_input_manager_v3 here. */
static const char *const allowed[] = {
	"wl_compositor",
	"wl_subcompositor",
	"wl_shm",
	"wl_seat",
	"wl_output",
	"xdg_wm_base",
	"zxdg_decoration_manager_v1",
	"zxdg_output_manager_v1",
	"wp_viewporter",
	"wp_fractional_scale_manager_v1",
	"zwp_text_input_manager_v3",
	"wp_cursor_shape_manager_v1",
};

static bool is_allowed(const struct wl_client *client, const struct wl_global *global, void *data)
{
	const char *name = wl_global_get_interface(global)->name;
	(void)client;
	(void)data;
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (strcmp(name, allowed[i]) == 0)
			return true;
	return false;
}

static void *next(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);
	if (found == NULL) {
		fprintf(stderr, "kekkai-globals: no %s: %s\n", name, dlerror());
		abort();
	}
	return found;
}

struct wl_display *wl_display_create(void)
{
	struct wl_display *(*create)(void);
	void (*set_filter)(struct wl_display *, wl_display_global_filter_func_t, void *);
	*(void **)&create = next("wl_display_create");
	*(void **)&set_filter = next("wl_display_set_global_filter");
	struct wl_display *display = create();
	if (display != NULL)
		set_filter(display, is_allowed, NULL);
	return display;
}

/* Nobody replaces the filter. */
void wl_display_set_global_filter(struct wl_display *display, wl_display_global_filter_func_t filter,
				  void *data)
{
	(void)display;
	(void)filter;
	(void)data;
	fputs("kekkai-globals: the compositor's own filter is not set\n", stderr);
}

/* The compositor's children are clients. */
__attribute__((constructor)) static void begin(void)
{
	unsetenv("LD_PRELOAD");
}
