package backing

func init() { FindMount = findMount }
