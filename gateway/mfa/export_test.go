package mfa

// AtStore is how many requests are at the store at a time.
const AtStore = atStore

// Heard tells whether the copy in memory has a grant of the user.
func (s *Service) Heard(user string) (bool, error) {
	all, err := s.grantsOf(user)
	return len(all) > 0, err
}
