/* Gives ssh-add the PIN that systemd unsealed for this unit: there is no shell to write this in. */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	char path[4096], pin[256];
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	if (folder == NULL || snprintf(path, sizeof path, "%s/pin", folder) >= (int)sizeof path)
		return 1;
	FILE *file = fopen(path, "r");
	if (file == NULL || fgets(pin, sizeof pin, file) == NULL)
		return 1;
	return fputs(pin, stdout) < 0;
}
