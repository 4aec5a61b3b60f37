/* What a program of this project brings along beside Sortie, and how it checks that both are in order. */
#ifndef GAME_H
#define GAME_H

#ifdef GAME_HAS_SURROUNDINGS
/* Returns 0 if all is well. */
int check_surroundings(void);
#else
#define check_surroundings() 0
#endif

#endif
