//! Series to outlook: models, their choice by rolling back-test, and the width that follows their own past errors.
